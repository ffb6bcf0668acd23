import { packageHash } from '../../lib/delivery';

test("is Terraform's h1 checksum, here computed with coreutils", () => {
  // (for f in Z b.txt sub/a; do sha256sum "$f"; done) | sha256sum | cut -d' ' -f1 | xxd -r -p | base64
  const files = new Map([
    ['b.txt', Buffer.from('hello\n')],
    ['sub/a', Buffer.from('')],
    ['Z', Buffer.from('x')],
  ]);
  expect(packageHash(files)).toBe('h1:Re80S7o3MlOq16qP1ym/kE9LD7X04Te/312bBB0qCCE=');
});

test('does not depend on the order in which files are named', () => {
  const files: [string, Buffer][] = ['é', 'a', 'B', 'z/1', 'z-1'].map((name) => [name, Buffer.from(name)]);
  expect(packageHash(new Map(files))).toBe(packageHash(new Map([...files].reverse())));
});

test('refuses a name that could forge a line', () => {
  expect(() => packageHash(new Map([['a\nb', Buffer.from('')]]))).toThrow('line break');
});
