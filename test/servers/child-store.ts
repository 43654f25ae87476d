import type { ObjectStore, ObjectStoreProvider } from '../../src/core/store/index.ts'

/** What a child process needs to open the same container. */
export interface ChildStore {
  readonly backend: 's3' | 'gcs' | 'azure'
  /** URL of the container, without a prefix. */
  readonly url: string
  readonly env: Readonly<Record<string, string>>
}

export async function openStore(prefix: string, data: unknown): Promise<ObjectStore> {
  const { backend, url, env } = data as ChildStore
  const module = (await import(`../../src/backends/${backend}/index.ts`)) as {
    readonly provider: ObjectStoreProvider
  }
  return await module.provider.open(new URL(`${url}/${prefix}`), env, {})
}
