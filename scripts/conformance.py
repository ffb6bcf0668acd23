#!/usr/bin/env python3
"""Replays the recorded conformance scenarios (test/vectors/xapi) against a pool and reports every difference as JSON.

  conformance.py URL [--transport recorded|xmlrpc] [--nbd-port N] [--only PREFIX]

`recorded` replays each step as it was recorded. `xmlrpc` sends the JSON-RPC calls as XML-RPC, where their parameters can be
written in XML; what XML cannot tell apart (ints and dates are text) is read as the type that the recording expects.
One JSON object per line: {"scenario", "steps", "seconds"} for each scenario, {"scenario", "step", "name", "oracle", "note",
"differences"} for each step that differs."""
import argparse, importlib.util, json, os, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
VECTORS = os.path.join(HERE, '..', 'test', 'vectors', 'xapi')
sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location('record', os.path.join(VECTORS, 'record.py'))
record = importlib.util.module_from_spec(spec)
spec.loader.exec_module(record)


def writable(value):
    """Whether XML can carry a parameter: no null, no character that XML forbids, no string that only JSON can write."""
    if value is None: return False
    if isinstance(value, str): return all(c in '\t\n' or ord(c) >= 32 and not 0xd800 <= ord(c) < 0xe000 and ord(c) < 0xfffe or ord(c) > 0xffff for c in value)
    if isinstance(value, list): return all(map(writable, value))
    if isinstance(value, dict): return '$utf16' not in value and all(writable(k) and writable(v) for k, v in value.items())
    return True


def counterparts(values, expected):
    """For each member of a list the expected one: by place, or for events (of which other objects' were left out) by class."""
    if not isinstance(expected, list): return [None] * len(values)
    if values and isinstance(values[0], dict) and 'class' in values[0]:
        by_class = {e['class']: e for e in expected}
        return [by_class.get(v['class']) for v in values]
    return expected if len(expected) == len(values) else [None] * len(values)


def as_expected(value, expected):
    """A value from XML-RPC as JSON-RPC would give it; `expected` settles whether a text is an int."""
    if isinstance(value, dict) and '$xml' in value:
        if value['$xml'] == 'double': return float(value['text'])
        return int(value['text']) if value['$xml'] == 'i4' else value['text']
    if isinstance(value, dict):
        inner = expected if isinstance(expected, dict) else {}
        return {k: as_expected(v, inner.get(k)) for k, v in value.items()}
    if isinstance(value, list):
        return [as_expected(v, e) for v, e in zip(value, counterparts(value, expected))]
    if isinstance(value, str) and isinstance(expected, str) and value == expected.replace('\r', '\n'): return expected   # XML reads a carriage return as a line feed
    wants_int = isinstance(expected, int) and not isinstance(expected, bool) or expected == {'$type': 'int'}
    return int(value) if wants_int and isinstance(value, str) and value.lstrip('-').isdigit() else value


class XmlRunner(record.Runner):
    """Sends JSON-RPC steps as XML-RPC."""
    expected = None

    def rpc(self, r):
        transport = r.get('transport', 'jsonrpc2')
        if transport == 'xmlrpc' or r['method'] in ('', 'system.listMethods') or not writable(r['params']): return super().rpc(r)
        value, error, http = super().rpc({**r, 'transport': 'xmlrpc'})
        return as_expected(value, self.expected), error, http

    def run_one(self, step):
        self.expected = self.wanted.pop(0)
        return super().run_one(step)


def name_of(step):
    if 'rpc' in step: return step['rpc']['method']
    if 'http' in step: return step['http'].get('method', 'raw') + ' ' + (step['http'].get('path') or '')
    return next(iter(step))


def main():
    p = argparse.ArgumentParser()
    p.add_argument('url'); p.add_argument('--transport', choices=['recorded', 'xmlrpc'], default='recorded'); p.add_argument('--nbd-port', type=int, default=0)
    p.add_argument('--only', default=''); p.add_argument('--user', default='root'); p.add_argument('--password', default='secret')
    a = p.parse_args()
    record.prepare(a)
    for name in sorted(os.listdir(VECTORS)):
        if not name.endswith('.json') or not name.startswith(a.only): continue
        with open(os.path.join(VECTORS, name)) as f: scenario = json.load(f)
        if 'steps' not in scenario or ('nbd-server' in scenario['requires'] and not a.nbd_port): continue
        started = time.time()
        steps = [dict(s) for s in scenario['steps']]
        want = [s.pop('expect', None) for s in steps]
        if a.transport == 'xmlrpc':
            class Runner(XmlRunner):
                wanted = [(w or {}).get('result') for w in want]
            record.Runner = Runner
        got = json.loads(json.dumps(record.run({**scenario, 'steps': steps}, a, lambda *x: print(*x, file=sys.stderr))))
        record.Runner = XmlRunner.__bases__[0]
        for i, (w, g) in enumerate(zip(want, got)):
            found = record.diff(w, g)
            if found: print(json.dumps({'scenario': scenario['name'], 'step': i, 'name': name_of(steps[i]), 'oracle': steps[i].get('oracle'), 'note': steps[i].get('note'), 'differences': found}), flush=True)
        print(json.dumps({'scenario': scenario['name'], 'steps': len(steps), 'seconds': round(time.time() - started, 1)}), flush=True)


main()
