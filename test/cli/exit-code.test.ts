import { describe, expect, it } from 'vitest'
import { UsageError } from '../../src/cli/args/usage-error.ts'
import { exitCodeOf } from '../../src/cli/output/exit-code.ts'
import { InterruptedError } from '../../src/cli/output/interrupted-error.ts'
import { errorReport, errorText } from '../../src/cli/output/report-error.ts'
import { CompactionError } from '../../src/core/compaction/diagnose-failure.ts'
import { DatabaseError } from '../../src/core/db/database-error.ts'
import { FencedError } from '../../src/core/engine/events.ts'
import { DurableWriteError } from '../../src/core/fs/index.ts'
import { LtxError } from '../../src/core/ltx/index.ts'
import { ReplicaError } from '../../src/core/replica/replica-error.ts'
import { RestoreError, type RestoreErrorCode } from '../../src/core/restore/restore-error.ts'
import { StoreError } from '../../src/core/store/index.ts'
import { WalError } from '../../src/core/wal/index.ts'
import { LegacyError } from '../../src/legacy/index.ts'

const RESTORE: Record<RestoreErrorCode, number> = {
  InvalidTarget: 2,
  NoReplica: 6,
  Gap: 5,
  TargetNotReachable: 6,
  MissingObject: 6,
  DamagedObject: 5,
  MissingPage: 5,
  PageSizeMismatch: 5,
  ChecksumMismatch: 5,
  IntegrityCheckFailed: 5,
  IntegrityCheckIncomplete: 5,
  TargetExists: 2,
  StaleSidecar: 2,
  NotAFile: 2,
  ParentMissing: 2,
  NoSpace: 1,
  NotWritable: 1,
  WriteFailed: 1,
}

describe('exitCodeOf', () => {
  it.each([
    [new UsageError('m', 'h'), 2],
    [new StoreError('InvalidKey', 'm', { op: 'encode' }), 2],
    [new StoreError('InvalidKey', 'm', { op: 'put' }), 4],
    [new StoreError('InvalidArgument', 'm', { op: 'open' }), 2],
    [new StoreError('Unsupported', 'm', { op: 'open' }), 2],
    [new DatabaseError('NotWalMode', 'p', 'm'), 3],
    [new StoreError('Unavailable', 'm', { op: 'put' }), 4],
    [new StoreError('InvalidArgument', 'm', { op: 'put' }), 4],
    [new StoreError('ContainerNotFound', 'm', { op: 'list' }), 4],
    [new StoreError('Corrupted', 'm', { op: 'get' }), 5],
    [new ReplicaError('DamagedObject', 'k', 'm'), 5],
    [new LtxError('InvalidTxid', 'm'), 5],
    [new CompactionError('DamagedObject', 'k', 'm'), 5],
    [new WalError('UnsupportedVersion', 'm'), 3],
    [new DurableWriteError('NotWritten', 'p', 'm'), 1],
    [new LegacyError('NoTxids', 'm', 'h'), 2],
    [new LegacyError('UnreadableFormat', 'm', 'h'), 6],
    [new LegacyError('NothingToRestore', 'm', 'h'), 6],
    [new LegacyError('TargetNotReachable', 'm', 'h'), 6],
    [new FencedError('TakenOver', 'app', 'k', 'm'), 75],
    [new InterruptedError('SIGINT'), 130],
    [new InterruptedError('SIGTERM'), 143],
    [new Error('m'), 1],
    [new TypeError('m'), 1],
    ['a string', 1],
    [undefined, 1],
  ])('%s', (error, code) => {
    expect(exitCodeOf(error)).toBe(code)
  })

  it.each(Object.entries(RESTORE))('RestoreError %s is %d', (code, expected) => {
    expect(exitCodeOf(new RestoreError(code as RestoreErrorCode, 'm'))).toBe(expected)
  })

  it('ignores the exitCode of an error from another library', () => {
    expect(exitCodeOf(Object.assign(new Error('m'), { exitCode: 75 }))).toBe(1)
  })

  it("knows a plugin's own copy of StoreError by its brand", () => {
    class OtherError extends Error {}
    const error = Object.assign(new OtherError('m'), {
      [Symbol.for('walsync/StoreError')]: true,
      code: 'Unavailable',
      op: 'put',
    })
    expect(exitCodeOf(error)).toBe(4)
  })
})

describe('errorText', () => {
  it('says what and what to do, in two lines', () => {
    expect(errorText(new UsageError('Wrong\n  thing.', 'do this'), { stack: false })).toBe(
      'error: Wrong thing.\n  try: do this\n',
    )
  })

  it('lists every detail on its own line, and in the JSON report', () => {
    const error = new UsageError('2 errors.', 'mend them', { details: ['a:1:2: x', 'a:3:4:\ny'] })
    const text = errorText(error, { stack: false })
    expect(text).toBe('error: 2 errors.\n  a:1:2: x\n  a:3:4: y\n  try: mend them\n')
    expect(errorReport(error).details).toEqual(['a:1:2: x', 'a:3:4:\ny'])
    expect(errorReport(new UsageError('m', 'h'))).not.toHaveProperty('details')
  })

  it('marks an unknown error as a defect and has something to try', () => {
    const text = errorText(new TypeError('x is not a function'), { stack: false })
    expect(text).toBe(
      'error: Unexpected TypeError: x is not a function\n  try: Run the command again with --log-level debug and report the output: this is a bug in walsync.\n',
    )
  })

  it('adds the stacks of the error and its causes only when asked', () => {
    const error = new UsageError('m', 'h', { cause: new RangeError('inner') })
    expect(errorText(error, { stack: false })).not.toContain('    at ')
    expect(errorText(error, { stack: true })).toContain('RangeError: inner')
  })
})
