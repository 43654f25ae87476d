import type { StoreCapabilities } from '../capabilities.ts'
import type { ObjectInfo, PutResult } from '../object-store.ts'
import { type Answer, probeBody } from './probe-calls.ts'
import type { ProbeCheck, ProbeCheckName } from './probe-report.ts'

/** The answers to the calls of a probe; `undefined` for a call that was not made. */
export interface ProbeAnswers {
  readonly capabilities: StoreCapabilities
  readonly keys: { readonly main: string; readonly other: string; readonly missing: string }
  /** The create-only put of `main`, if the backend declares create-only puts. */
  readonly create: Answer<PutResult> | undefined
  /** The put that wrote `first` to `main`: the same, or a plain one. */
  readonly main: Answer<PutResult>
  readonly other: Answer<PutResult>
  /** A second create-only put of `main`. */
  readonly again: Answer<PutResult> | undefined
  /** A put of `other` with its own version. */
  readonly current: Answer<PutResult> | undefined
  /** A put of `main` with the version that `other` had. */
  readonly stale: Answer<PutResult> | undefined
  /** A put of `missing` with the version of `other`. */
  readonly absent: Answer<PutResult> | undefined
  readonly get: Answer<{ readonly info: ObjectInfo; readonly bytes: Uint8Array }>
  readonly head: Answer<ObjectInfo | undefined>
  readonly list: Answer<readonly ObjectInfo[]>
  readonly deleted: Answer<void>
  /** The listing after the delete. */
  readonly left: Answer<readonly ObjectInfo[]>
  /** Local time around the put of `main`, in milliseconds since 1970. */
  readonly startedAt: number
  readonly endedAt: number
}

const NO_FENCE = "two writers of one replica could overwrite each other's history unseen"
const NO_SWAP = 'a change by another writer between a read and a write is overwritten unseen'
const NEVER_SWAPS = 'no write that depends on a known state can succeed'

export function createOnly({ create, again, get }: ProbeAnswers): ProbeCheck {
  const is = results('create-only')
  if (create === undefined) return is.skipped(`The backend declares none: ${NO_FENCE}.`)
  if (create.error !== undefined) {
    if (create.error.code === 'PermissionDenied') return is.untried(because('put', create))
    return is.failed(
      `A create-only put of a new key failed (${create.error.message}): ${NO_FENCE}.`,
    )
  }
  const second = 'A second create-only put of one key'
  if (again?.error === undefined) {
    return is.failed(`${second} was accepted, the condition is ignored: ${NO_FENCE}.`)
  }
  if (again.error.code !== 'AlreadyExists') {
    return is.failed(`${second} failed as ${again.error.code}, expected AlreadyExists.`)
  }
  if (get.value === undefined) return is.untried(`${second} was refused; ${because('get', get)}`)
  if (holds(get.value, 'second')) {
    return is.failed(`${second} was answered with AlreadyExists, but overwrote it: ${NO_FENCE}.`)
  }
  return is.ok(`${second} was refused and changed nothing.`)
}

export function compareAndSwap(answers: ProbeAnswers): ProbeCheck {
  const { capabilities, main, other, current, stale, absent, get, list, keys } = answers
  const is = results('compare-and-swap')
  if (capabilities.ifMatch === 'none') return is.skipped('The backend declares none.')
  if (current === undefined || stale === undefined || absent === undefined) {
    return is.untried(because('put', main.error === undefined ? other : main))
  }
  for (const [what, put] of [
    ['A put with a stale version', stale],
    ['A put of a missing key with a version', absent],
  ] as const) {
    if (put.error === undefined) {
      return is.failed(`${what} was accepted, the condition is ignored: ${NO_SWAP}.`)
    }
    if (put.error.code !== 'PreconditionFailed') {
      return is.failed(`${what} failed as ${put.error.code}, expected PreconditionFailed.`)
    }
  }
  const appeared = list.value?.some(({ key }) => key === keys.missing) === true
  if ((get.value !== undefined && holds(get.value, 'stale')) || appeared) {
    return is.failed(
      `A put was answered with PreconditionFailed, but stored its bytes: ${NO_SWAP}.`,
    )
  }
  if (current.error !== undefined) {
    if (current.error.code === 'PermissionDenied') return is.untried(because('put', current))
    return is.failed(
      `A put with the current version failed as ${current.error.code}, expected to succeed: ${NEVER_SWAPS}.`,
    )
  }
  const swapped = list.value?.find(({ key }) => key === keys.other)
  if (swapped !== undefined && swapped.size !== current.value.size) {
    return is.failed(
      `A put with the current version was accepted, but list shows what was there before: ${NEVER_SWAPS}.`,
    )
  }
  if (get.value === undefined) {
    return is.untried(`Puts with a stale version were refused; ${because('get', get)}`)
  }
  const scope = capabilities.ifMatch === 'process' ? ', as declared for one process only' : ''
  return is.ok(
    `A put with the current version was accepted; with a stale one, and on a missing key, it was refused${scope}.`,
  )
}

export function readAfterWrite(answers: ProbeAnswers): ProbeCheck {
  const { main, again, stale, get, head, list, keys } = answers
  const is = results('read-after-write')
  if (main.value === undefined) return is.untried(because('put', main))
  const { version, size } = stale?.value ?? again?.value ?? main.value
  // A refused put may still have been stored; the checks of the conditions report that.
  const texts = ['first', 'second', 'stale']
  const stored = texts.slice(stale?.value ? 2 : again?.value ? 1 : 0)
  const listed = list.value?.find(({ key }) => key === keys.main)
  const seen = { get: get.value?.info, head: head.value, list: listed }
  for (const [verb, answer] of Object.entries({ get, head, list })) {
    if (answer.error?.code === 'PermissionDenied') return is.untried(because(verb, answer))
    const info = seen[verb as keyof typeof seen]
    // What get does not return cannot be restored; head and list may merely be late.
    const failed = verb === 'get' ? is.fatal : is.failed
    if (answer.error !== undefined && answer.error.code !== 'NotFound') {
      return failed(`${verb} failed right after the put: ${answer.error.message}`)
    }
    if (info === undefined) return failed(`${verb} does not show an object right after its put.`)
    if (verb === 'get' && !stored.some((text) => holds(get.value, text))) {
      return failed('get returns other bytes than the put stored.')
    }
    if (info.version !== version || info.size !== size) {
      return is.failed(`${verb} shows another state than the last put that was accepted.`)
    }
  }
  return is.ok(
    'get returns the bytes of a put, and head and list show it, as soon as the put has returned.',
  )
}

export function listOrder({ keys, list, other, main }: ProbeAnswers): ProbeCheck {
  const is = results('list-order')
  if (list.error?.code === 'Corrupted') return is.failed(list.error.message)
  if (list.value === undefined) return is.untried(because('list', list))
  const refused = [main, other].find(({ error }) => error !== undefined)
  if (refused !== undefined) return is.untried(because('put', refused))
  const seen = list.value.map(({ key }) => key).filter((key) => key !== keys.missing)
  if (seen.length === 2 && seen[0] === keys.other && seen[1] === keys.main) {
    return is.ok('Keys are listed once each, in the order of their bytes.')
  }
  const names = seen.map((key) => key.slice(key.lastIndexOf('/') + 1)).join(', ')
  return is.failed(`The keys B, a are listed as "${names}": a restore could miss files.`)
}

export function deletion({ deleted, left, main }: ProbeAnswers): ProbeCheck {
  const is = results('delete')
  if (deleted.error?.code === 'PermissionDenied') return is.untried(because('delete', deleted))
  if (deleted.error !== undefined) return is.failed(`A delete failed: ${deleted.error.message}`)
  if (main.value === undefined) return is.untried(because('put', main))
  if (left.value === undefined) return is.untried(because('list', left))
  if (left.value.length > 0) return is.failed('Deleted objects are still listed.')
  return is.ok('Deleted objects disappear immediately.')
}

function holds(got: { readonly bytes: Uint8Array } | undefined, text: string): boolean {
  return got !== undefined && Buffer.compare(got.bytes, probeBody(text)) === 0
}

function because(verb: string, answer: Answer<unknown>): string {
  const why = answer.error?.code === 'PermissionDenied' ? 'was denied' : 'failed'
  return `Not tried, because ${verb} ${why}: ${answer.error?.message ?? 'no answer'}`
}

function results(name: ProbeCheckName) {
  const make = (status: ProbeCheck['status']) => (sentence: string) => ({ name, status, sentence })
  return {
    ok: make('ok'),
    failed: make('failed'),
    fatal: (sentence: string): ProbeCheck => ({ ...make('failed')(sentence), fatal: true }),
    skipped: make('skipped'),
    untried: make('untried'),
  }
}
