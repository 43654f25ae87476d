import { isStoreError, type StoreError } from '../../core/store/index.ts'
import { InterruptedError } from './interrupted-error.ts'

/** What the exit code of the process says, for scripts and service managers. */
export const ExitCode = {
  ok: 0,
  other: 1,
  usage: 2,
  database: 3,
  store: 4,
  integrity: 5,
  unreachable: 6,
  /** EX_TEMPFAIL of sysexits.h: another writer took over; a restart would fight with it. */
  fenced: 75,
} as const
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]

/**
 * The one place that turns an error into an exit code. Told apart by the name of the class, because
 * `--help` should not load the engine; a store's error by its brand, because plugins bring their own copy.
 */
export function exitCodeOf(error: unknown): number {
  if (error instanceof InterruptedError) return error.exitCode
  if (isStoreError(error)) return ofStore(error)
  if (!(error instanceof Error)) return ExitCode.other
  switch (error.constructor.name) {
    case 'UsageError':
      return ExitCode.usage
    case 'DatabaseError':
    case 'WalError':
      return ExitCode.database
    case 'FencedError':
      return ExitCode.fenced
    case 'ReplicaError':
    case 'LtxError':
    case 'MaintenanceError':
      return ExitCode.integrity
    case 'LegacyError':
      return (error as Error & { code?: unknown }).code === 'NoTxids'
        ? ExitCode.usage
        : ExitCode.unreachable
    case 'RestoreError':
      return ofRestore((error as Error & { code?: unknown }).code)
    default:
      return ExitCode.other
  }
}

/** An `open` that makes no sense is configuration: no request was sent yet. */
function ofStore({ code, op }: StoreError): number {
  if (code === 'Corrupted') return ExitCode.integrity
  const configuration = code === 'InvalidArgument' || code === 'Unsupported'
  return op === 'open' && configuration ? ExitCode.usage : ExitCode.store
}

/** Absent is 6; wrong contents and holes are 5, so that a damaged backup is never taken for none; a target or file that was badly chosen is the caller's 2. */
function ofRestore(code: unknown): number {
  switch (code) {
    case 'NoReplica':
    case 'TargetNotReachable':
    case 'MissingObject':
      return ExitCode.unreachable
    case 'Gap':
    case 'DamagedObject':
    case 'MissingPage':
    case 'PageSizeMismatch':
    case 'ChecksumMismatch':
    case 'IntegrityCheckFailed':
    case 'IntegrityCheckIncomplete':
      return ExitCode.integrity
    case 'InvalidTarget':
    case 'TargetExists':
    case 'StaleSidecar':
    case 'NotAFile':
    case 'ParentMissing':
      return ExitCode.usage
    default:
      return ExitCode.other
  }
}
