/**
 * The program of a receiving thread: one connection, whose bytes it puts into shared memory. What it is to send, and whether
 * to go on at all, is decided by whoever started it. Runs from `program-text.ts`, which is made of it.
 */
import { connect as connectPlain, type OnReadOpts } from 'node:net';
import { connect as connectSecure, TLSSocket } from 'node:tls';
import { parentPort, workerData } from 'node:worker_threads';
import { proofOf } from '../peer-proof';
import type { FromThread, ThreadOrder, ToThread } from './messages';

const KEEP_ALIVE_MS = 30_000;
/** As much as a socket is asked for at once: where it is paused, no more than this is still received. */
const READ_BYTES_MAX = 64 * 1024;
const port = parentPort;
if (port === null) throw new Error('this program runs in a thread of its own');

// Only `ThreadConnection` starts it.
const { connection, memory, pauseBytes } = workerData as ThreadOrder;
const ring = new Uint8Array(memory);
let receivedBytes = 0;
let takenBytes = 0;
let isPaused = false;
let isOverrun = false;
let telling: NodeJS.Immediate | null = null;

function tell(message: FromThread): void {
  port?.postMessage(message);
}

function tellReceived(): void {
  if (telling === null) return;
  clearImmediate(telling);
  telling = null;
  tell({ kind: 'received', bytes: receivedBytes });
}

/** Where the next bytes go, and never over bytes that were not taken. */
function room(): Uint8Array {
  const freeBytes = ring.length - (receivedBytes - takenBytes);
  const at = receivedBytes % ring.length;
  if (freeBytes > 0) return ring.subarray(at, at + Math.min(freeBytes, READ_BYTES_MAX));
  // Never seen: it stops long before. Should it happen, nothing that came counts.
  isOverrun = true;
  socket.destroy(new Error('more was received than there is room for'));
  return new Uint8Array(1);
}

/** Returns whether more may come. */
function received(lengthBytes: number): boolean {
  if (isOverrun) return false;
  receivedBytes += lengthBytes;
  // Not at once: what else has come by then is told with it.
  telling ??= setImmediate(tellReceived);
  isPaused = receivedBytes - takenBytes >= pauseBytes;
  return !isPaused;
}

const reading = { onread: { buffer: room, callback: received } satisfies OnReadOpts };
const socket = connection.secure
  ? connectSecure({ ...connection.options, ...reading })
  : connectPlain({ ...connection.options, ...reading });

socket
  .once(connection.secure ? 'secureConnect' : 'connect', () => {
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    tell({ kind: 'connected', proof: socket instanceof TLSSocket ? proofOf(socket) : null });
  })
  .once('end', () => {
    tellReceived();
    tell({ kind: 'ended' });
  })
  .on('error', (error: NodeJS.ErrnoException) => {
    tellReceived();
    tell({ kind: 'failed', message: error.message, code: error.code });
  })
  .once('close', () => {
    tellReceived();
    tell({ kind: 'closed' });
    port.close();
  });

port.on('message', (message: ToThread) => {
  if (message.kind === 'write') {
    socket.write(message.data, (error) => {
      if (error === undefined || error === null) tell({ kind: 'written' });
    });
    return;
  }
  takenBytes = message.bytes;
  if (!isPaused || receivedBytes - takenBytes >= pauseBytes) return;
  isPaused = false;
  socket.resume();
});
