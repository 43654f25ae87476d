import type { ReplicaSummary } from '../../core/replica/summarize-replica.ts'
import type { RestoreTarget } from '../../core/restore/restore-target.ts'
import type { DetectedReplica } from '../../legacy/detect-formats.ts'
import type { LegacyReadOptions } from '../../legacy/open-legacy.ts'
import type { LegacyPlan } from '../../legacy/plan-legacy.ts'
import type { LegacyRestoreOptions, LegacyRestoreResult } from '../../legacy/restore-legacy.ts'
import type { CommandContext } from '../command-context.ts'
import type { OpenedStore } from '../composition/open-store.ts'

/** A replica that is not made of LTX files, for the commands that can meet one. */
export interface OtherReplica {
  /** The name that `restore` takes. */
  readonly name: string
  /** Whether walsync can restore it. */
  readonly isReadable: boolean
  /** @throws StoreError */
  describe(signal: AbortSignal): Promise<OtherDescription>
  /** @returns the exit code; @throws LegacyError, RestoreError, StoreError */
  restore(
    context: CommandContext,
    target: RestoreTarget,
    flags: LegacyRestoreFlags,
  ): Promise<number>
  /** What `restoreTo` would do. Writes nothing. @throws LegacyError, StoreError */
  plan(target: RestoreTarget, options: LegacyReadOptions): Promise<LegacyPlan>
  /**
   * Restores to a file, whatever the grade, and prints nothing.
   *
   * @throws LegacyError, RestoreError, StoreError; nothing is left at `path`
   */
  restoreTo(
    path: string,
    target: RestoreTarget,
    options: LegacyRestoreOptions,
  ): Promise<LegacyRestoreResult>
  /**
   * Restores the latest state to a file, but only if it is proven complete: an application will
   * continue from it without anybody looking.
   *
   * @throws LegacyError `NotComplete`, RestoreError, StoreError; nothing is left at `path`
   */
  restoreComplete(path: string, options: LegacyRestoreOptions): Promise<LegacyRestoreResult>
  /** @throws UsageError, LegacyError, StoreError */
  verify(context: CommandContext, flags: LegacyVerifyFlags): Promise<OtherVerdict>
}

/** For `list`: a row of the table or an entry of `unreadable`, and a line below the table. */
export interface OtherDescription {
  readonly database?: ListedLegacy
  readonly unreadable?: { readonly name: string; readonly format: string }
  readonly note: string
}

/** For `verify`. */
export interface OtherVerdict {
  /** The line of `--json`. */
  readonly event: object
  readonly text: string
  readonly exitCode: number
}

/** A replica of another format, and where it is stored. */
export interface Located extends Pick<DetectedReplica, 'prefix'> {
  readonly name: string
  readonly opened: OpenedStore
  /** Whether the folder is the name concatenated with the end of the URL. */
  readonly isConcatenated: boolean
}

export interface LegacyRestoreFlags
  extends Pick<
    LegacyRestoreOptions,
    'force' | 'integrityCheck' | 'parallelism' | 'mode' | 'owner'
  > {
  readonly output: string
  readonly dryRun?: boolean | undefined
}

/** Flags of `verify` that apply to LTX files only: each that is given is refused. */
export type LegacyVerifyFlags = Readonly<
  Record<'quick' | 'restore' | 'database' | 'assert' | 'maxAge' | 'report', unknown>
>

/** A replica of walsync 0.1, as `list --json` prints it: the fields that every database has, and its own. */
export interface ListedLegacy extends ReplicaSummary {
  readonly name: string
  readonly format: 'walsync-0.1'
  /** Number of WAL segments. */
  readonly segments: number
  /** Times in the names of the first and the last object. What can be restored shows only when they are read. */
  readonly stored: { readonly from: Date; readonly to: Date }
  /** Folder in the store, if it is the name concatenated with the end of the URL. */
  readonly folder: string | undefined
  readonly restorableTimes: undefined
}
