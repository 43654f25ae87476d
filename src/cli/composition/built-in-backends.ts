import type { Backend } from './backend.ts'

/** The backends of this package. Each is loaded when one of its schemes is used, with its SDK. */
export const FILE: Backend = {
  name: 'file',
  schemes: ['file'],
  load: async () => (await import('../../backends/file/index.ts')).provider,
}

export const S3: Backend = {
  name: 's3',
  schemes: ['s3', 'tigris'],
  load: async () => (await import('../../backends/s3/index.ts')).provider,
}

export const GCS: Backend = {
  name: 'gcs',
  schemes: ['gs'],
  load: async () => (await import('../../backends/gcs/index.ts')).provider,
}

export const AZURE: Backend = {
  name: 'azure',
  schemes: ['az', 'abs'],
  load: async () => (await import('../../backends/azure/index.ts')).provider,
}
