/**
 * XXH64 with seed 0 as 16 lower-case hex digits. 64-bit numbers are two 32-bit halves: with BigInt a chunk of 1 MiB would take
 * a tenth of a second.
 */
export function xxh64(data: Uint8Array): string {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const hash = new Lane(0, 0);
  let at = 0;
  if (data.byteLength >= 32) {
    const lanes = [start(PRIME1, PRIME2), start(PRIME2), new Lane(0, 0), start().minus(PRIME1)] as const;
    for (; at + 32 <= data.byteLength; at += 32) {
      lanes[0].round(view, at);
      lanes[1].round(view, at + 8);
      lanes[2].round(view, at + 16);
      lanes[3].round(view, at + 24);
    }
    [1, 7, 12, 18].forEach((bits, index) => {
      const lane = lanes[index];
      if (lane !== undefined) hash.add(lane.copy().rotate(bits));
    });
    for (const lane of lanes) hash.xor(new Lane(0, 0).mix(lane)).multiply(PRIME1).add(PRIME4);
  } else {
    hash.add(PRIME5);
  }
  hash.add(new Lane(0, data.byteLength));
  for (; at + 8 <= data.byteLength; at += 8) {
    const word = new Lane(view.getUint32(at + 4, true), view.getUint32(at, true));
    hash.xor(new Lane(0, 0).mix(word)).rotate(27).multiply(PRIME1).add(PRIME4);
  }
  if (at + 4 <= data.byteLength) {
    hash
      .xor(new Lane(0, view.getUint32(at, true)).multiply(PRIME1))
      .rotate(23)
      .multiply(PRIME2)
      .add(PRIME3);
    at += 4;
  }
  for (; at < data.byteLength; at++) {
    hash
      .xor(new Lane(0, view.getUint8(at)).multiply(PRIME5))
      .rotate(11)
      .multiply(PRIME1);
  }
  return hash.shiftXor(33).multiply(PRIME2).shiftXor(29).multiply(PRIME3).shiftXor(32).toString();
}

// Taken out of their global once: looking it up for each word costs more than the multiplication where code runs in a context
// of its own, as under test.
const { imul, floor } = Math;

/** A 64-bit number that is changed in place. */
class Lane {
  constructor(
    private high: number,
    private low: number,
  ) {}

  copy(): Lane {
    return new Lane(this.high, this.low);
  }

  add(other: Lane): this {
    const low = (this.low >>> 0) + (other.low >>> 0);
    this.high = (this.high + other.high + (low > 0xffffffff ? 1 : 0)) | 0;
    this.low = low | 0;
    return this;
  }

  minus(other: Lane): this {
    return this.add(new Lane(~other.high, ~other.low).add(new Lane(0, 1)));
  }

  xor(other: Lane): this {
    this.high ^= other.high;
    this.low ^= other.low;
    return this;
  }

  rotate(bits: number): this {
    const { high, low } = this;
    this.high = (high << bits) | (low >>> (32 - bits));
    this.low = (low << bits) | (high >>> (32 - bits));
    return this;
  }

  shiftXor(bits: number): this {
    const { high, low } = this;
    if (bits === 32) this.low = low ^ high;
    else if (bits > 32) this.low = low ^ (high >>> (bits - 32));
    else {
      this.low = low ^ ((low >>> bits) | (high << (32 - bits)));
      this.high = high ^ (high >>> bits);
    }
    return this;
  }

  multiply(by: Lane): this {
    const { high, low } = this;
    const a = low & 0xffff;
    const b = low >>> 16;
    const c = by.low & 0xffff;
    const d = by.low >>> 16;
    const middle = b * c + (((a * c) / 65536) | 0);
    const carry = a * d + (middle % 65536);
    const top = b * d + floor(middle / 65536) + floor(carry / 65536);
    this.high = (top + imul(high, by.low) + imul(low, by.high)) | 0;
    this.low = imul(low, by.low);
    return this;
  }

  /** One step with a word of input, as the four lanes take it. */
  round(view: DataView, at: number): void {
    this.mix(new Lane(view.getUint32(at + 4, true), view.getUint32(at, true)));
  }

  mix(word: Lane): this {
    return this.add(word.multiply(PRIME2)).rotate(31).multiply(PRIME1);
  }

  toString(): string {
    const hex = (half: number): string => (half >>> 0).toString(16).padStart(8, '0');
    return hex(this.high) + hex(this.low);
  }
}

const PRIME1 = new Lane(0x9e3779b1, 0x85ebca87);
const PRIME2 = new Lane(0xc2b2ae3d, 0x27d4eb4f);
const PRIME3 = new Lane(0x165667b1, 0x9e3779f9);
const PRIME4 = new Lane(0x85ebca77, 0xc2b2ae63);
const PRIME5 = new Lane(0x27d4eb2f, 0x165667c5);

function start(...parts: readonly Lane[]): Lane {
  return parts.reduce((sum, part) => sum.add(part), new Lane(0, 0));
}
