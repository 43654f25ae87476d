import type { ObjectInfo, Version } from '../../core/store/index.ts'
import { notFromGcs } from './gcs-errors.ts'

/** The fields of a JSON object resource that a store uses. */
export interface GcsResource {
  readonly name: string
  readonly size: string
  readonly generation: string
  readonly updated: string
  readonly metadata?: Readonly<Record<string, string>> | undefined
}

export const RESOURCE_FIELDS = 'name,size,generation,updated,metadata'

/** Where Litestream reads an object's time on GCS (RFC 3339, UTC). */
export const CREATED_AT = 'litestream-timestamp'

export function resourceMetadata({
  createdAt,
}: {
  readonly createdAt?: Date | undefined
}): Record<string, string> {
  return createdAt === undefined ? {} : { [CREATED_AT]: createdAt.toISOString() }
}

/** @throws StoreError `Unavailable` for an answer that describes no object */
export function resourceInfo(op: string, key: string, resource: GcsResource): ObjectInfo {
  assertResource(op, key, resource)
  return {
    key,
    size: Number(resource.size),
    lastModified: new Date(resource.updated),
    version: resource.generation as Version,
    createdAt: parseTime(resource.metadata?.[CREATED_AT]),
  }
}

/**
 * Refuses a success that describes no object: something in front of the service has sent it.
 *
 * @throws StoreError `Unavailable`
 */
export function assertResource(op: string, key: string, resource: GcsResource): void {
  if (isGeneration(resource.generation) && /^\d+$/.test(resource.size)) return
  throw notFromGcs(op, `The response for ${key} does not describe an object.`, key)
}

export function isGeneration(version: string | undefined): version is Version {
  return version !== undefined && /^\d+$/.test(version)
}

export function parseTime(text: string | undefined): Date | undefined {
  const time = text === undefined ? Number.NaN : Date.parse(text)
  return Number.isNaN(time) ? undefined : new Date(time)
}
