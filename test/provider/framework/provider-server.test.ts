import { DiagnosticError, ProviderServer, error, warning } from '../../../lib/provider/framework';
import type { Provider, Resource, Schema } from '../../../lib/provider/framework';

const schema: Schema = {
  version: 2,
  description: '',
  attributes: {
    name: {
      type: 'string',
      required: true,
      description: '',
      validate: [(value) => (value === 'bad' ? 'It must be good.' : null)],
    },
    token: { type: 'string', optional: true, writeOnly: true, description: '' },
    size: { type: 'number', optional: true, computed: true, default: 1, description: '' },
    id: { type: 'string', computed: true, description: '' },
  },
};

const state = { name: 'web', token: null, size: 1, id: '7' };

/** A resource of which a test replaces the method it is about. */
function serverOf(methods: Partial<Resource<string>> = {}): ProviderServer<string> {
  const thing: Resource<string> = {
    noun: 'Thing',
    schema,
    create: (planned) => Promise.resolve({ ...planned, id: '7' }),
    read: (found) => Promise.resolve(found),
    update: (_prior, planned) => Promise.resolve(planned),
    delete: () => Promise.resolve(),
    ...methods,
  };
  const provider: Provider<string> = {
    name: 'test',
    schema: { version: 0, description: '', attributes: {} },
    resources: { thing },
    dataSources: {},
    configure: () => Promise.resolve('configured'),
  };
  return new ProviderServer(provider);
}

async function configured(methods?: Partial<Resource<string>>): Promise<ProviderServer<string>> {
  const server = serverOf(methods);
  await server.configure({});
  return server;
}

function fail(): Promise<never> {
  return Promise.reject(new Error('the pool said no'));
}

describe('validation', () => {
  test('a wrong value is an error at its path', async () => {
    const { diagnostics } = await serverOf().validateResource('thing', { ...state, name: 'bad' });
    expect(diagnostics).toEqual([error('Invalid Value of name', 'It must be good.', ['name'])]);
  });

  test('checks over several arguments come after those of each', async () => {
    const server = serverOf({ validate: () => [error('Both', 'not together')] });
    const { diagnostics } = await server.validateResource('thing', { ...state, name: 'bad' });
    expect(diagnostics.map(({ summary }) => summary)).toEqual(['Invalid Value of name', 'Both']);
  });

  test('an unknown type is an error that lists those there are', async () => {
    const { diagnostics } = await serverOf().validateResource('other', {});
    expect(diagnostics[0]?.detail).toContain('it has thing');
  });
});

describe('apply', () => {
  test('no prior state: create', async () => {
    const server = await configured();
    const { state: made } = await server.apply('thing', { prior: null, planned: state, config: state });
    expect(made).toEqual(state);
  });

  test('no planned state: delete', async () => {
    const deleted: unknown[] = [];
    const server = await configured({
      delete: (prior) => {
        deleted.push(prior);
        return Promise.resolve();
      },
    });
    await expect(server.apply('thing', { prior: state, planned: null, config: null })).resolves.toEqual({
      state: null,
      diagnostics: [],
    });
    expect(deleted).toEqual([state]);
  });

  test('a failed create leaves no state and names the object', async () => {
    const server = await configured({ create: fail });
    const answer = await server.apply('thing', { prior: null, planned: state, config: state });
    expect(answer).toEqual({
      state: null,
      diagnostics: [error('Unable to Create Thing "web"', 'the pool said no')],
    });
  });

  test.each([
    ['update', { update: fail }, state, 'Unable to Update Thing "web"'],
    ['delete', { delete: fail }, null, 'Unable to Delete Thing "web"'],
  ])('a failed %s keeps the state', async (_title, methods, planned, summary) => {
    const server = await configured(methods);
    const answer = await server.apply('thing', { prior: state, planned, config: planned });
    expect(answer.state).toEqual(state);
    expect(answer.diagnostics).toEqual([error(summary, 'the pool said no')]);
  });

  test('write-only arguments reach the resource and never the state', async () => {
    let seen: unknown;
    const server = await configured({
      create: (planned) => {
        seen = planned['token'];
        return Promise.resolve({ ...planned, id: '7' });
      },
    });
    const config = { ...state, token: 'secret' };
    const { state: made } = await server.apply('thing', { prior: null, planned: state, config });
    expect(seen).toBe('secret');
    expect(made).toMatchObject({ token: null });
  });

  test('what is reported on the way is shown beside the result', async () => {
    const server = await configured({
      create: (planned, { report }) => {
        report(warning('By the way', 'it rains'));
        return Promise.resolve(planned);
      },
    });
    const { diagnostics } = await server.apply('thing', { prior: null, planned: state, config: state });
    expect(diagnostics).toEqual([warning('By the way', 'it rains')]);
  });
});

describe('read', () => {
  test('a proven absence removes the object', async () => {
    const server = await configured({ read: () => Promise.resolve(null) });
    await expect(server.read('thing', state)).resolves.toEqual({ state: null, diagnostics: [] });
  });

  test('a failure keeps the state', async () => {
    const server = await configured({ read: fail });
    const { state: kept, diagnostics } = await server.read('thing', state);
    expect(kept).toEqual(state);
    expect(diagnostics).toEqual([error('Unable to Read Thing "web"', 'the pool said no')]);
  });

  test('after import, defaults stand where nothing is known', async () => {
    const server = await configured({ read: () => Promise.resolve({ name: 'web', id: '7' }) });
    const { state: read } = await server.read('thing', { name: null, token: null, size: null, id: '7' });
    expect(read).toEqual(state);
  });
});

describe('import', () => {
  test('the id becomes a state with every attribute', async () => {
    const server = serverOf({ import: (id) => ({ id }) });
    const { state: imported } = await server.import('thing', '7');
    expect(imported).toEqual({ name: null, token: null, size: null, id: '7' });
  });

  test('a resource that cannot be imported says so', async () => {
    const { diagnostics } = await serverOf().import('thing', '7');
    expect(diagnostics[0]?.summary).toBe('Unable to Import Thing');
  });
});

describe('state of other versions', () => {
  test('the same version passes; attributes that are new are null, those that went are dropped', async () => {
    const { state: upgraded } = await serverOf().upgrade('thing', 2, { name: 'web', id: '7', gone: [1] });
    expect(upgraded).toEqual({ ...state, size: null });
  });

  test('older versions are lifted one by one', async () => {
    const server = serverOf({
      upgrades: {
        0: ({ label, ...rest }) => ({ ...rest, title: label }),
        1: ({ title, ...rest }) => ({ ...rest, name: title }),
      },
    });
    const { state: upgraded } = await server.upgrade('thing', 0, { label: 'web', size: 1, id: '7' });
    expect(upgraded).toEqual(state);
  });

  test.each([
    ['newer than we know', 3, 'written by a newer release'],
    ['older than we can lift', 1, 'no way from 1 to 2'],
  ])('%s: an error that says what to do', async (_title, version, text) => {
    const { state: upgraded, diagnostics } = await serverOf().upgrade('thing', version, { name: 'web' });
    expect(upgraded).toBeNull();
    expect(diagnostics[0]?.detail).toContain(text);
  });
});

describe('life', () => {
  test('an operation before configuration is an error, not a crash', async () => {
    const { diagnostics } = await serverOf().read('thing', state);
    expect(diagnostics[0]?.summary).toBe('Provider Is Not Configured');
  });

  test('stop aborts what is running, and it still answers', async () => {
    const server = await configured({
      create: (_planned, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('the call was cut')));
        }),
    });
    const applied = server.apply('thing', { prior: null, planned: state, config: state });
    server.stop();
    await expect(applied).resolves.toMatchObject({
      state: null,
      diagnostics: [
        {
          summary: 'Unable to Create Thing "web"',
          detail: 'Terraform asked to stop while this was going on.\nthe call was cut',
        },
      ],
    });
  });

  test('several diagnostics can be thrown at once', async () => {
    const both = [error('One', '1'), error('Two', '2', ['name'])];
    const server = await configured({ read: () => Promise.reject(new DiagnosticError(both)) });
    const { diagnostics } = await server.read('thing', state);
    expect(diagnostics).toEqual(both);
  });

  test('causes and advice of an error are shown', async () => {
    const failure = Object.assign(new Error('Cannot log in', { cause: new Error('socket closed') }), {
      hint: 'look at the network',
    });
    const server = await configured({ read: () => Promise.reject(failure) });
    const { diagnostics } = await server.read('thing', state);
    expect(diagnostics[0]?.detail).toBe('Cannot log in\nLook at the network\nCause: socket closed');
  });
});
