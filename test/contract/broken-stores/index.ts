import type { BrokenStore } from './broken-store.ts'
import { brokenLifecycles } from './lifecycle.ts'
import { brokenLists } from './lists.ts'
import { brokenReads } from './reads.ts'
import { brokenRetries } from './retries.ts'
import { brokenWrites } from './writes.ts'

export const brokenStores: readonly BrokenStore[] = [
  ...brokenWrites,
  ...brokenReads,
  ...brokenLists,
  ...brokenLifecycles,
  ...brokenRetries,
]
