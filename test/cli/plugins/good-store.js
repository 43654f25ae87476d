import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'

export const provider = {
  apiVersion: 2,
  name: 'good-store',
  schemes: ['good'],
  layout: 'ltx',
  open: async () => new MemoryObjectStore(),
}
