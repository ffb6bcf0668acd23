import { LockFile } from '../../lib/delivery';

/** As Terraform 1.11 writes it. */
const written = `# This file is maintained automatically by "terraform init".
# Manual edits may be lost in future updates.

provider "registry.terraform.io/hashicorp/null" {
  version     = "3.2.4"
  constraints = "3.2.4"
  hashes = [
    "h1:L5V05xwp/Gto1leRryuesxjMfgZwjb7oool4WS1UEFQ=",
    "zh:59f6b52ab4ff35739647f9509ee6d93d7c032985d9f8c6237d1f8a59471bbbe2",
  ]
}

provider "terraform.local/xenrepl/xenrepl" {
  version     = "0.1.0"
  constraints = "0.1.0"
  hashes = [
    "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
  ]
}
`;
const ours = 'terraform.local/xenrepl/xenrepl';
const entry = { version: '0.2.0', constraints: '0.2.0', hashes: ['h1:new='] };

test('reads entries', () => {
  const lock = new LockFile(written);
  expect(lock.addresses).toEqual(['registry.terraform.io/hashicorp/null', ours]);
  expect(lock.get(ours)).toEqual({
    version: '0.1.0',
    constraints: '0.1.0',
    hashes: ['h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='],
  });
  expect(lock.get('registry.terraform.io/hashicorp/random')).toBeUndefined();
});

test('replaces one entry and leaves every other byte', () => {
  const lock = new LockFile(written).with(ours, entry);
  expect(lock.get(ours)).toEqual(entry);
  expect(lock.toString().split(`provider "${ours}"`)[0]).toBe(written.split(`provider "${ours}"`)[0]);
});

test('writes an entry as Terraform does, so that putting back what was read changes nothing', () => {
  const lock = new LockFile(written);
  for (const address of lock.addresses) {
    const found = lock.get(address);
    expect(found && lock.with(address, found).toString()).toBe(written);
  }
});

test('a new file begins with the header Terraform writes', () => {
  expect(new LockFile('').with(ours, { ...entry, hashes: [] }).toString()).toBe(
    `# This file is maintained automatically by "terraform init".
# Manual edits may be lost in future updates.

provider "terraform.local/xenrepl/xenrepl" {
  version     = "0.2.0"
  constraints = "0.2.0"
}
`,
  );
});

test.each([
  ['before all others', 'a.example/x/x', 0],
  ['between', 'registry.terraform.io/hashicorp/random', 1],
  ['after all others', 'z.example/x/x', 2],
])('adds an entry in order of addresses: %s', (_where, address, index) => {
  const lock = new LockFile(written).with(address, entry);
  expect(lock.addresses[index]).toBe(address);
  expect(lock.addresses).toHaveLength(3);
  expect(lock.without(address).toString()).toBe(written);
});

test('adding and removing again gives the file there was', () => {
  const lock = new LockFile(written);
  expect(
    lock
      .without(ours)
      .with(ours, lock.get(ours) ?? entry)
      .toString(),
  ).toBe(written);
  expect(lock.without('registry.terraform.io/hashicorp/random').toString()).toBe(written);
});

test('text in an entry is never read as a replacement pattern', () => {
  const odd = { version: '1.0.0', constraints: "$& $1 $'", hashes: ['h1:$&='] };
  expect(new LockFile(written).with(ours, odd).get(ours)).toEqual(odd);
});
