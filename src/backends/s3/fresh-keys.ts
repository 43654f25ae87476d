import type { S3Client } from '@aws-sdk/client-s3'

interface Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
  readonly expiration?: Date | undefined
}

interface KeyConfig {
  profile?: string | undefined
  credentials: unknown
  credentialDefaultProvider(input: object): () => Promise<Keys>
}

/** The SDK refreshes keys that expire within this time, in milliseconds. */
const SDK_MARGIN_MS = 300_000
/** How long static keys are used before their file is read again, in milliseconds. */
const REREAD_MS = 60_000

/**
 * Makes a client re-read static keys from the AWS files from time to time. The SDK itself caches
 * keys without an expiry, and the contents of the files, so rotated keys would take effect only
 * after a restart.
 */
export function readKeysAgain(client: S3Client): void {
  const config = client.config as unknown as KeyConfig
  const chain = config.credentialDefaultProvider
  config.credentials = async (): Promise<Keys> => {
    const input = { ...config, ignoreCache: true, parentClientConfig: config }
    const keys = await chain(input)()
    if (keys.expiration !== undefined) return keys
    return { ...keys, expiration: new Date(Date.now() + SDK_MARGIN_MS + REREAD_MS) }
  }
}
