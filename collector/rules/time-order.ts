/** Below so many elements inserting is faster than merging. */
const RUN = 16;

/** Finds the order of times, equal ones as they stand; its memory is used over and over. */
export class TimeOrder {
  #order = new Int32Array(1024);
  #spare = new Int32Array(1024);

  /** Indexes of `times` in order of time; valid until the next call. */
  of(times: Float64Array, count: number): Int32Array {
    if (this.#order.length < count) {
      const room = 2 ** Math.ceil(Math.log2(count));
      this.#order = new Int32Array(room);
      this.#spare = new Int32Array(room);
    }
    let from = this.#order;
    let to = this.#spare;
    let sorted = true;
    for (let at = 0; at < count; at += 1) {
      from[at] = at;
      if (at > 0 && times[at]! < times[at - 1]!) sorted = false;
    }
    if (sorted) return from;
    for (let begin = 0; begin < count; begin += RUN) insert(from, times, begin, Math.min(begin + RUN, count));
    for (let width = RUN; width < count; width *= 2) {
      for (let begin = 0; begin < count; begin += 2 * width) {
        merge(from, to, times, begin, Math.min(begin + width, count), Math.min(begin + 2 * width, count));
      }
      [from, to] = [to, from];
    }
    return from;
  }
}

function insert(order: Int32Array, times: Float64Array, begin: number, end: number): void {
  for (let at = begin + 1; at < end; at += 1) {
    const index = order[at]!;
    const time = times[index]!;
    let place = at;
    while (place > begin && times[order[place - 1]!]! > time) {
      order[place] = order[place - 1]!;
      place -= 1;
    }
    order[place] = index;
  }
}

function merge(
  from: Int32Array,
  to: Int32Array,
  times: Float64Array,
  begin: number,
  middle: number,
  end: number,
): void {
  let left = begin;
  let right = middle;
  for (let at = begin; at < end; at += 1) {
    const takesLeft = left < middle && (right >= end || times[from[left]!]! <= times[from[right]!]!);
    to[at] = takesLeft ? from[left++]! : from[right++]!;
  }
}
