/** What a series is, whatever ids it goes by: the tenant is empty where there is none. */
export interface SeriesIdentity {
  tenant: string;
  device: string;
  name: string;
  unit: string;
  labels: Readonly<Record<string, string>>;
}
