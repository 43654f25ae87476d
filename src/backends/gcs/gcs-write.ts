import { type DriverPutOptions, isStoreError, type StoreError } from '../../core/store/index.ts'
import type { GcsClient } from './gcs-client.ts'
import { mapGcsError } from './gcs-errors.ts'
import { resourceMetadata } from './gcs-resource.ts'

/** One put on its way: what each of its requests needs. */
export interface GcsPut {
  readonly client: GcsClient
  readonly key: string
  readonly options: DriverPutOptions
}

/** The object resource that an upload starts with. */
export function newResource({ client, key, options }: GcsPut) {
  return {
    name: client.objectName(key),
    contentType: 'application/octet-stream',
    metadata: resourceMetadata(options),
  }
}

/** @see https://cloud.google.com/storage/docs/request-preconditions; generation 0 is "does not exist" */
export function generationQuery({ ifAbsent, ifMatch }: DriverPutOptions): Record<string, string> {
  if (ifAbsent === true) return { ifGenerationMatch: '0' }
  return ifMatch === undefined ? {} : { ifGenerationMatch: ifMatch }
}

export function mapPutError({ client, key, options }: GcsPut, error: unknown): StoreError {
  if (isStoreError(error)) return error
  const { ifAbsent, ifMatch } = options
  const condition = ifAbsent === true ? 'ifAbsent' : ifMatch === undefined ? undefined : 'ifMatch'
  return mapGcsError(error, { op: 'put', key, bucket: client.options.bucket, condition })
}
