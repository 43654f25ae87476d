import { createHmac } from 'node:crypto'

/**
 * Headers that identify a message and prove who sent it, as the Standard Webhooks specification has
 * them: the signature is the HMAC-SHA256 of `<id>.<timestamp>.<body>` in base64, behind `v1,`.
 *
 * @param key without one the message is not signed
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export function webhookHeaders(
  id: string,
  sentAt: Date,
  body: string,
  key: Buffer | undefined,
): Record<string, string> {
  const timestamp = String(Math.floor(sentAt.getTime() / 1000))
  const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp }
  if (key === undefined) return headers
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
  return { ...headers, 'webhook-signature': `v1,${signature}` }
}
