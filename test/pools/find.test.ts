import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { findPoolsFile } from '../../lib/pools';
import { TestFolder } from './folder';

let folder: TestFolder;

beforeEach(() => {
  folder = new TestFolder();
});

afterEach(() => {
  folder.remove();
});

const find = (cwd: string, env: NodeJS.ProcessEnv = {}): string | null =>
  findPoolsFile({ cwd: join(folder.path, cwd), env, home: join(folder.path, 'home') });

describe('the pools file', () => {
  it('is the one that XENREPL_POOLS_FILE names, before all others', () => {
    folder.write('project/xenrepl.yaml', '');

    expect(find('project', { XENREPL_POOLS_FILE: '/etc/pools.yaml' })).toBe('/etc/pools.yaml');
  });

  it('that is named may be relative to the working directory, and need not be there: opening it tells', () => {
    expect(find('project', { XENREPL_POOLS_FILE: '../mine.yaml' })).toBe(join(folder.path, 'mine.yaml'));
  });

  it('is the nearest xenrepl.yaml upwards: provisioners run deep inside cdktf.out', () => {
    folder.write('xenrepl.yaml', '');
    const nearest = folder.write('project/xenrepl.yaml', '');
    folder.write('home/.config/xenrepl/pools.yaml', '');

    expect(find('project/cdktf.out/stacks/dr', { XENREPL_POOLS_FILE: '' })).toBe(nearest);
    expect(find('project')).toBe(nearest);
  });

  it('is no folder of that name', () => {
    const file = folder.write('xenrepl.yaml', '');
    mkdirSync(join(folder.path, 'project', 'xenrepl.yaml'), { recursive: true });

    expect(find('project')).toBe(file);
  });

  it('is that of the user, where no project has one', () => {
    const own = folder.write('home/.config/xenrepl/pools.yaml', '');

    expect(find('project')).toBe(own);
  });

  it('may be missing', () => {
    expect(find('project')).toBeNull();
  });
});
