/** The batch that readings stand in. */
export interface Origin {
  /** 32 hexadecimal digits. */
  epoch: string;
  sequence: number;
}
