import { LtxError } from '../ltx/index.ts'
import { LtxObjectDecoder } from '../replica/ltx-object-decoder.ts'
import { type LtxFileInfo, type ReplicaClient, ReplicaError } from '../replica/replica-client.ts'
import { isArchived, isStoreError } from '../store/index.ts'
import { FactGatherer, type FileFacts } from './file-facts.ts'
import type { Fault } from './listing-faults.ts'

/** What reading one object to its end has shown. `gone`: not there, or not as listed; a new listing may explain that. */
export type Finding =
  | { readonly kind: 'good'; readonly facts: FileFacts }
  | { readonly kind: 'bad' | 'gone'; readonly fault: Fault }

export interface ReadOptions {
  /** Called with the bytes that have arrived since the last call. */
  readonly onBytes?: ((bytes: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** Tries of an object that does not arrive as it was stored. */
const ATTEMPTS = 3

/**
 * Reads one object to its end and holds it against its name, its listed size and the LTX format.
 * Keeps no page.
 *
 * @throws StoreError if the store cannot be read, which says nothing about the object; the signal's reason
 */
export async function readObject(
  client: ReplicaClient,
  file: LtxFileInfo,
  options: ReadOptions = {},
): Promise<Finding> {
  for (let attempt = 1; ; attempt++) {
    try {
      return { kind: 'good', facts: await decode(client, file, options) }
    } catch (error) {
      options.signal?.throwIfAborted()
      const corrupted = isStoreError(error) && error.code === 'Corrupted'
      if (!corrupted) return findingOf(file, error)
      if (attempt === ATTEMPTS) return bad('Unreadable', file, error.message)
    }
  }
}

async function decode(
  client: ReplicaClient,
  file: LtxFileInfo,
  { onBytes, signal }: ReadOptions,
): Promise<FileFacts> {
  const decoder = new LtxObjectDecoder(file)
  let gatherer: FactGatherer | undefined
  for await (const chunk of client.open(file, { signal })) {
    for (const pages of decoder.write(chunk)) {
      signal?.throwIfAborted()
      if (decoder.header !== undefined) gatherer ??= new FactGatherer(decoder.header)
      for (const { pgno } of pages) gatherer?.add(pgno)
    }
    onBytes?.(chunk.length)
  }
  const { header, checksums } = decoder.end()
  gatherer ??= new FactGatherer(header)
  return gatherer.facts(checksums)
}

function findingOf(file: LtxFileInfo, error: unknown): Finding {
  if (error instanceof LtxError) return bad('Damaged', file, error.message)
  if (isArchived(error)) {
    const hint = error.hint === undefined ? '' : ` ${error.hint}`
    const message = `The object ${file.key} is in an archive tier and cannot be read now.${hint}`
    return { kind: 'bad', fault: { code: 'Archived', key: file.key, message } }
  }
  if (!(error instanceof ReplicaError)) throw error
  const { code, key, message } = error
  if (code === 'DamagedObject') return { kind: 'bad', fault: { code: 'WrongName', key, message } }
  const gone = code === 'MissingObject' ? 'Missing' : 'SizeChanged'
  return { kind: 'gone', fault: { code: gone, key, message } }
}

function bad(code: 'Damaged' | 'Unreadable', { key }: LtxFileInfo, why: string): Finding {
  const what = code === 'Damaged' ? 'is damaged' : 'does not arrive as it was stored'
  return { kind: 'bad', fault: { code, key, message: `The object ${key} ${what}: ${why}` } }
}
