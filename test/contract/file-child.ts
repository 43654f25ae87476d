import { join } from 'node:path'
import { FileObjectStore } from '../../src/backends/file/index.ts'

export async function openStore(prefix: string, base: unknown): Promise<FileObjectStore> {
  return new FileObjectStore({ root: join(String(base), prefix), create: true })
}
