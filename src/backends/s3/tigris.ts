import type { S3Client } from '@aws-sdk/client-s3'

/** @see https://www.tigrisdata.com/docs/sdks/s3/ */
export const TIGRIS_ENDPOINT = 'https://t3.storage.dev'

/** `fly.storage.tigris.dev` is what `fly storage create` still prints. */
const HOSTS = ['t3.storage.dev', 'fly.storage.tigris.dev', 't3.storageapi.dev']

export function isTigrisHost(host: string): boolean {
  return HOSTS.includes(host.toLowerCase())
}

/**
 * Asks for the latest state on every request. Tigris no longer documents the header (since
 * 2026-02); Litestream sends it as well, and it costs nothing where it is ignored.
 */
export function requireTigrisConsistency(client: S3Client): void {
  client.middlewareStack.add(
    (next) => (args) => {
      const { headers } = args.request as { headers: Record<string, string> }
      headers['x-tigris-consistent'] = 'true'
      return next(args)
    },
    { step: 'build', name: 'tigrisConsistent' },
  )
}
