import type { S3Client } from '@aws-sdk/client-s3'

/** @see https://www.tigrisdata.com/docs/sdks/s3/ */
export const TIGRIS_ENDPOINT = 'https://t3.storage.dev'

/** `fly.storage.tigris.dev` is what `fly storage create` still prints. */
const HOSTS = ['t3.storage.dev', 'fly.storage.tigris.dev', 't3.storageapi.dev']

export function isTigrisHost(host: string): boolean {
  return HOSTS.includes(host.toLowerCase())
}

/**
 * Requests strong consistency with every request. Tigris has not documented the header since
 * 2026-02, but Litestream sends it as well, and where it is ignored it costs nothing.
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
