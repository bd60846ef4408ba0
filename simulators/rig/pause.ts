/** Lets time pass for the processes under test: what they do in it is what a fault interrupts. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
