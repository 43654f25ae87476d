import { ExitCode, isWalsyncError } from '../../core/errors.ts'
import { isStoreError, storeExitCode } from '../../core/store/store-error.ts'

export { ExitCode } from '../../core/errors.ts'

/** Exit code for an error of any origin; 1 for one that walsync did not throw on purpose. */
export function exitCodeOf(error: unknown): number {
  if (isWalsyncError(error)) return error.exitCode
  // A plugin may bring a copy of StoreError that is older than the exit codes.
  if (isStoreError(error)) return storeExitCode(error.code, error.op)
  return ExitCode.other
}
