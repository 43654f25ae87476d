import { describe, expect, it } from 'vitest'
import { explain, type MainFileLook } from '../../../src/core/db/main-file-look.ts'

const LOOK: MainFileLook = {
  size: 8192,
  mtimeNs: 1n,
  run: '1:2:0',
  earlier: undefined,
  backfilled: 5,
  mark: 5,
}
/** The log was restarted, and nothing has been copied from the new run. */
const NEXT: MainFileLook = {
  ...LOOK,
  mtimeNs: 2n,
  run: '2:9:1',
  earlier: { name: LOOK.run, frames: 5 },
  backfilled: 0,
  mark: 0,
}

describe('a change of the main file', () => {
  it('is none while size and time stay', () => {
    expect(explain(LOOK, { ...LOOK, mark: 9 })).toBe('yes')
  })

  it('is explained by copied frames', () => {
    expect(explain(LOOK, { ...LOOK, mtimeNs: 2n, backfilled: 6, mark: 6 })).toBe('yes')
  })

  it('is explained by frames that were copied before or after a restart of the log', () => {
    expect(explain({ ...LOOK, backfilled: 4 }, NEXT)).toBe('yes')
    expect(explain(LOOK, { ...NEXT, earlier: { name: LOOK.run, frames: 6 } })).toBe('yes')
    expect(explain(LOOK, { ...NEXT, backfilled: 1, mark: 1 })).toBe('yes')
    expect(explain(LOOK, { ...NEXT, mark: 1 })).toBe('perhaps')
  })

  it('is explained by more than one restart, or by one that was not followed', () => {
    expect(explain(LOOK, { ...NEXT, earlier: { name: '2:8:0', frames: 1 } })).toBe('yes')
    expect(explain(LOOK, { ...NEXT, earlier: undefined })).toBe('yes')
  })

  it('is not explained by a restart of a log that had been copied, or by its end', () => {
    expect(explain(LOOK, NEXT)).toBe('never')
    const emptied = { ...NEXT, run: '' }
    expect(explain(LOOK, emptied)).toBe('never')
    expect(explain(emptied, { ...NEXT, mtimeNs: 3n })).toBe('never')
    expect(explain({ ...emptied, earlier: undefined }, { ...NEXT, mtimeNs: 3n })).toBe('yes')
  })

  it('may be of a checkpoint at work while frames under the mark are not copied', () => {
    expect(explain({ ...LOOK, mark: 6 }, { ...LOOK, mtimeNs: 2n, mark: 6 })).toBe('perhaps')
    expect(explain(LOOK, { ...LOOK, mtimeNs: 2n, mark: 6 })).toBe('perhaps')
  })

  it('belongs to somebody else when nothing could be copied, or the file is empty', () => {
    expect(explain(LOOK, { ...LOOK, mtimeNs: 2n })).toBe('never')
    expect(explain(LOOK, { ...LOOK, size: 4096 })).toBe('never')
    expect(explain({ ...LOOK, mark: 6 }, { ...LOOK, size: 0, mtimeNs: 2n, mark: 6 })).toBe('never')
  })
})
