import { setTimeout as delay } from 'node:timers/promises'
import { startAzurite } from '../servers/azurite.ts'
import { startFakeGcs } from '../servers/fake-gcs.ts'
import {
  azureDialect,
  type FaultDialect,
  gcsDialect,
  s3Dialect,
} from '../servers/fault-dialects.ts'
import { type S3Server, startMinio, startVersitygw } from '../servers/s3-servers.ts'
import type { ServerName } from '../servers/server-path.ts'

/** A running store, as a user of the command line sees it. */
export interface E2eStore {
  /** What `-b` gets. */
  readonly url: string
  /** Environment of a client that talks to it, directly or through a proxy. */
  env(endpoint?: string): Readonly<Record<string, string>>
  stop(): Promise<void>
}

export interface HttpStore extends E2eStore {
  /** `http://127.0.0.1:port` */
  readonly endpoint: string
}

export interface E2eStoreKind<T extends E2eStore = E2eStore> {
  readonly name: string
  readonly needs: readonly ServerName[]
  start(): Promise<T>
}

export interface HttpStoreKind extends E2eStoreKind<HttpStore> {
  readonly dialect: FaultDialect
}

export const MINIO: HttpStoreKind = {
  name: 'MinIO',
  needs: ['minio'],
  dialect: s3Dialect,
  start: () => startS3(startMinio),
}

export const VERSITYGW: HttpStoreKind = {
  name: 'VersityGW',
  needs: ['versitygw'],
  dialect: s3Dialect,
  start: () => startS3(startVersitygw),
}

export const FAKE_GCS: HttpStoreKind = {
  name: 'fake-gcs-server',
  needs: ['fake-gcs-server'],
  dialect: gcsDialect,
  async start() {
    const server = await startFakeGcs()
    const { url: endpoint, env, stop } = server
    return { url: `gs://${server.bucket}/some/prefix`, endpoint, env, stop }
  },
}

export const AZURITE: HttpStoreKind = {
  name: 'Azurite',
  needs: ['azurite'],
  dialect: azureDialect,
  async start() {
    const server = await startAzurite()
    const { url: endpoint, env, stop } = server
    return { url: `az://${server.container}/some/prefix`, endpoint, env, stop }
  },
}

/** Relative, so it is made in the folder of the test, which has a space in its name. */
export const FOLDER: E2eStoreKind = {
  name: 'a folder',
  needs: [],
  start: async () => ({ url: './the replica', env: () => ({}), stop: () => delay(0) }),
}

async function startS3(start: () => Promise<S3Server>): Promise<HttpStore> {
  const server = await start()
  const { url: endpoint, env, stop } = server
  return { url: `s3://${server.bucket}/some/prefix`, endpoint, env, stop }
}
