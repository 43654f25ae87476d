import type { S3Server } from '../../test/servers/s3-servers.ts'
import type { Program } from './programs.ts'
import type { Row } from './table.ts'

/** What a section of the benchmark gets. */
export interface Bench {
  /** To be compared, walsync first. Sections take turns with them, so that a run's ratios count. */
  readonly programs: readonly Program[]
  /** Less of everything, to see whether it works: its figures say little. */
  readonly quick: boolean
  /** Of a fleet; undefined: what the section takes. */
  readonly databases: number | undefined
  /** MinIO, or undefined if it is not installed. One server for the whole run. */
  minio(): Promise<S3Server | undefined>
  add(row: Row): void
  /** Progress, for a person who waits. */
  say(text: string): void
}

export interface Section {
  readonly name: string
  /** One line. */
  readonly about: string
  /** Left out unless it is named, because it takes long. */
  readonly onlyByName?: boolean | undefined
  run(bench: Bench): Promise<void>
}

/** Samples by program, of one figure. */
export class Samples {
  readonly #byProgram: Record<string, number[] | string> = {}

  add(program: string, ...values: readonly number[]): void {
    const known = this.#byProgram[program]
    if (typeof known === 'string') return
    this.#byProgram[program] = [...(known ?? []), ...values]
  }

  /** There are none, for a reason. */
  none(program: string, reason: string): void {
    this.#byProgram[program] = reason
  }

  get all(): Readonly<Record<string, readonly number[] | string>> {
    return this.#byProgram
  }
}
