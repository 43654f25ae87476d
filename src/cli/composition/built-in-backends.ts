import type { Backend } from './backend.ts'

/** The backends of this package. Each is loaded when one of its schemes is used, with its SDK. */
export const BUILT_IN_BACKENDS: readonly Backend[] = [
  {
    name: 'file',
    schemes: ['file'],
    load: async () => (await import('../../backends/file/index.ts')).provider,
  },
  {
    name: 's3',
    schemes: ['s3', 'tigris'],
    load: async () => (await import('../../backends/s3/index.ts')).provider,
  },
  {
    name: 'gcs',
    schemes: ['gs'],
    load: async () => (await import('../../backends/gcs/index.ts')).provider,
  },
  {
    name: 'azure',
    schemes: ['az', 'abs'],
    load: async () => (await import('../../backends/azure/index.ts')).provider,
  },
]
