import { datamodelOf } from '../../lib/simulator/datamodel/model';
import type { Type } from '../../lib/simulator/datamodel/types';
import { CallError, NULL, PoolUnderTest, type Json } from './pool-under-test';

let pool: PoolUnderTest;
beforeAll(async () => {
  pool = await PoolUnderTest.start();
});
afterAll(() => pool.close());

const model = datamodelOf('8.3');
const messages = [...model.classes.values()].flatMap((owner) => [...owner.messages.values()]);

/** A value that has the type and names nothing. */
function sample(type: Type): Json {
  switch (type.kind) {
    case 'int':
    case 'float':
      return 1;
    case 'bool':
      return true;
    case 'datetime':
      return '20240101T00:00:00Z';
    case 'ref':
      return NULL;
    case 'enum':
      return type.values.values().next().value ?? '';
    case 'set':
      return [];
    case 'map':
    case 'record':
      return {};
    default:
      return '';
  }
}

/** These end or block the session that sends them. */
const apart = new Set([
  'session.logout',
  'session.local_logout',
  'event.next',
  'session.login_with_password',
  'session.slave_local_login_with_password',
]);

describe('every message of the datamodel', () => {
  it(`answers: ${messages.length} of them`, async () => {
    const silent: string[] = [];
    const broken: string[] = [];
    for (const message of messages.filter(({ full }) => !apart.has(full))) {
      const parameters = message.parameters.map(({ type }) => sample(type));
      const session = message.needsSession ? [pool.session] : [];
      try {
        await pool.raw(message.full, [...session, ...parameters]);
        if (!message.implicit && message.result.kind === 'void' && message.name !== 'unregister')
          silent.push(message.full);
      } catch (error) {
        if (!(error instanceof CallError)) broken.push(`${message.full}: ${String(error)}`);
        else if (isDefect(error)) broken.push(`${message.full}: ${error.message}`);
      }
    }
    expect(broken).toEqual([]);
    expect(silent.sort()).toEqual(harmless);
  });

  it('counts and checks its parameters before anything else', async () => {
    for (const message of messages.filter(({ removed, needsSession }) => !removed && needsSession)) {
      const tooFew = ['MESSAGE_PARAMETER_COUNT_MISMATCH', message.full, String(message.required)];
      if (message.required > 0) expect((await pool.failure(message.full)).slice(0, 3)).toEqual(tooFew);
      const [first] = message.parameters;
      if (first === undefined || first.type.kind === 'record') continue;
      const wrong = message.parameters.map(({ type }, index) => (index === 0 ? null : sample(type)));
      expect((await pool.failure(message.full, ...wrong))[0]).toBe('INTERNAL_ERROR');
    }
  });
});

/** Exceptions of this program, as against refusals in the server's words. */
function isDefect(error: CallError): boolean {
  return (
    error.description[0] === 'INTERNAL_ERROR' && /undefined|not a function|reading '/.test(error.message)
  );
}

/** Messages that rightly succeed on nothing: lists of subscriptions and messages that are empty. */
const harmless = ['event.register', 'message.destroy_many', 'session.logout_subject_identifier'];
