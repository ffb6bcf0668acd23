import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  decodeExportHead,
  decodeOptionReply,
  encodeOption,
  encodeRead,
  option,
  optionReply,
  wrongGreeting,
} from '../../lib/nbd/wire';

interface RecordedReply {
  readonly magic: string;
  readonly option: number;
  readonly type: string;
  readonly length: number;
}
interface RecordedStep {
  readonly nbd?: { readonly option: number };
  readonly expect: { readonly greeting?: string; readonly reply?: RecordedReply };
}

/** What a real xapi-nbd said, byte for byte. */
function recorded(name: string): readonly RecordedStep[] {
  const file = join(__dirname, '..', 'vectors', 'xapi', `${name}.json`);
  const { steps } = JSON.parse(readFileSync(file, 'utf8')) as { readonly steps: readonly RecordedStep[] };
  return steps.filter(({ nbd }) => nbd !== undefined);
}

describe.each(['11-nbd-handshake', '11-nbd-handshake-tls'])('the recorded server of %s', (name) => {
  test('its greeting is accepted', () => {
    const greetings = recorded(name).flatMap((step) => step.expect.greeting ?? []);
    expect(greetings.length).toBeGreaterThan(0);
    for (const greeting of greetings) expect(wrongGreeting(Buffer.from(greeting, 'hex'))).toBeNull();
  });

  test('its replies to options are read as recorded', () => {
    for (const { nbd, expect: wanted } of recorded(name)) {
      if (wanted.reply === undefined || nbd === undefined) continue;
      const bytes = Buffer.alloc(20);
      Buffer.from(wanted.reply.magic, 'hex').copy(bytes);
      bytes.writeUInt32BE(wanted.reply.option, 8);
      bytes.writeUInt32BE(Number.parseInt(wanted.reply.type, 16), 12);
      bytes.writeUInt32BE(wanted.reply.length, 16);
      expect(decodeOptionReply(bytes, nbd.option)).toEqual({
        type: Number.parseInt(wanted.reply.type, 16),
        lengthBytes: wanted.reply.length,
      });
      expect(decodeOptionReply(bytes, nbd.option + 1)).toBeNull();
    }
  });
});

test('a server in clear refuses STARTTLS with the reply that the client knows as such', () => {
  const refusal = recorded('11-nbd-handshake').find(({ nbd }) => nbd?.option === option.startTls);
  expect(Number.parseInt(refusal?.expect.reply?.type ?? '0', 16)).toBe(optionReply.policy);
});

test('what the client sends', () => {
  expect(encodeOption(option.exportName, '/disk').toString('hex')).toBe(
    '49484156454f505400000001000000052f6469736b',
  );
  expect(encodeRead(2n, 0x1_0000_0000, 512).toString('hex')).toBe(
    '25609513000000000000000000000002000000010000000000000200',
  );
});

test('the head of an export: size, flags, 124 zeros', () => {
  const head = Buffer.alloc(134);
  head.writeBigUInt64BE(4_194_304n, 0);
  head.writeUInt16BE(3, 8);
  expect(decodeExportHead(head)).toBe(4_194_304);
});
