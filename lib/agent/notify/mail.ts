import { createTransport } from 'nodemailer';
import type { MailChannel } from '../config';
import type { Notice } from './notices';

const withinMs = 15_000;

/** Sends a notice as plain text. @throws Error of the mail server, without the password */
export async function sendMail(channel: MailChannel, notice: Notice): Promise<void> {
  const { host, port, secure, login, sender, recipients } = channel;
  const transport = createTransport({
    host,
    port,
    secure,
    ...(login === null ? {} : { auth: { user: login.username, pass: login.password() } }),
    // A password goes over TLS or not at all; a relay without one may be plain.
    requireTLS: login !== null && !secure,
    connectionTimeout: withinMs,
    greetingTimeout: withinMs,
    socketTimeout: withinMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  try {
    await transport.sendMail({
      from: sender,
      to: [...recipients],
      subject: `[xenrepl] ${notice.subject}`,
      text: `${notice.text}\n\nTarget pool: ${notice.pool}\nJob: ${notice.job.name} (${notice.job.id})\n`,
      date: new Date(notice.atMs),
    });
  } finally {
    transport.close();
  }
}
