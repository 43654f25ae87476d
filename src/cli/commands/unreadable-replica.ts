import type { OtherFormat } from '../../legacy/detect-formats.ts'
import { LegacyError } from '../../legacy/legacy-error.ts'
import type { Located, OtherDescription, OtherReplica } from './other-replica.ts'

type UnreadableFormat = Exclude<OtherFormat, 'walsync-0.1'>

/** What each format is, and what reads it. */
const FORMATS: Readonly<
  Record<UnreadableFormat, { readonly what: string; readonly hint: string }>
> = {
  'litestream-0.3': {
    what: 'Litestream 0.3',
    hint: 'Restore it with Litestream 0.3, or with 0.5.7 or newer.',
  },
  'walsync-0.3': {
    what: 'walsync 0.2 or 0.3 (or early walrust)',
    hint: 'Restore it with the program that wrote it.',
  },
}

/** A replica in a format that walsync recognises and does not read. */
export class UnreadableReplica implements OtherReplica {
  readonly name: string
  readonly isReadable = false
  readonly #located: Located
  readonly #format: UnreadableFormat

  constructor(located: Located, format: UnreadableFormat) {
    this.name = located.name
    this.#located = located
    this.#format = format
  }

  async describe(): Promise<OtherDescription> {
    const { name } = this
    const format = this.#format
    const { what, hint } = FORMATS[format]
    const note = `${name}: a replica of ${what}, which walsync does not read. ${hint}`
    return { unreadable: { name, format }, note }
  }

  async restore(): Promise<never> {
    throw this.#unreadable()
  }

  async plan(): Promise<never> {
    throw this.#unreadable()
  }

  async restoreTo(): Promise<never> {
    throw this.#unreadable()
  }

  async restoreComplete(): Promise<never> {
    throw this.#unreadable()
  }

  async verify(): Promise<never> {
    throw this.#unreadable()
  }

  #unreadable(): LegacyError {
    const { what, hint } = FORMATS[this.#format]
    const place = this.#located.opened.store.description
    const message = `"${this.name}" in ${place} is a replica of ${what}, which walsync does not read.`
    return new LegacyError('UnreadableFormat', message, hint)
  }
}
