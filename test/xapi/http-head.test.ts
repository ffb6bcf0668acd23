import fc from 'fast-check';
import { formatRequestHead, ResponseHeadReader } from '../../lib/xapi/http-head';

const HEAD =
  'HTTP/1.1 302 Found\r\nConnection: close\r\ntask-id:OpaqueRef:1\r\nLocation: https://a/b?c=d:e\r\n\r\n';

describe('the head of a request', () => {
  const target = {
    method: 'PUT',
    path: '/import_raw_vdi',
    query: { vdi: 'OpaqueRef:1', format: 'raw' },
  } as const;

  it('announces no body', () => {
    expect(formatRequestHead(target, { hostname: '10.0.0.1', port: 443 }, 443)).toBe(
      'PUT /import_raw_vdi?vdi=OpaqueRef%3A1&format=raw HTTP/1.1\r\n' +
        'Host: 10.0.0.1\r\nUser-Agent: xenrepl\r\nConnection: close\r\n\r\n',
    );
  });

  it('names an unusual port, and IPv6 in brackets', () => {
    expect(formatRequestHead(target, { hostname: '::1', port: 8443 }, 443)).toContain('Host: [::1]:8443\r\n');
  });

  it('is never as large as hosts refuse', () => {
    const large = { ...target, query: { vdi: 'x'.repeat(1000) } };
    expect(() => formatRequestHead(large, { hostname: 'a', port: 443 }, 443)).toThrow(
      'a host takes less than 1024',
    );
  });
});

describe('the head of an answer', () => {
  it('is read whatever the pieces it comes in, and leaves what follows', () => {
    const body = 'body\r\n\r\nHTTP/1.1 500';
    const bytes = Buffer.from(HEAD + body);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 8 }), (cuts) => {
        const reader = new ResponseHeadReader();
        const edges = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
        let rest = '';
        let status = 0;
        for (const [index, edge] of edges.slice(1).entries()) {
          const piece = bytes.subarray(edges[index], edge);
          if (status !== 0) {
            rest += piece.toString();
            continue;
          }
          const answer = reader.push(piece);
          if (answer === null) continue;
          status = answer.head.status;
          rest = answer.rest.toString();
          expect(answer.head.statusText).toBe('Found');
          expect(answer.head.headers.get('task-id')).toBe('OpaqueRef:1');
          expect(answer.head.headers.get('location')).toBe('https://a/b?c=d:e');
        }
        expect({ status, rest }).toEqual({ status: 302, rest: body });
      }),
    );
  });

  it('may have no reason phrase, and HTTP 1.0', () => {
    expect(new ResponseHeadReader().push(Buffer.from('HTTP/1.0 200\r\n\r\n'))?.head.status).toBe(200);
  });

  it.each([
    ['another protocol', 'SSH-2.0'],
    ['another version', 'HTTP/2 200\r\n\r\n'],
    ['no status', 'HTTP/1.1 OK\r\n\r\n'],
    ['no end', `HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(3000)}`],
  ])('is refused: %s', (_, text) => {
    expect(() => new ResponseHeadReader().push(Buffer.from(text))).toThrow(SyntaxError);
  });
});
