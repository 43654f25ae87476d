import { describe, expect, it } from 'vitest'
import { explain, type MainFileLook } from '../../../src/core/db/main-file-look.ts'

const LOOK: MainFileLook = { size: 8192, mtimeNs: 1n, run: '1:2:0', backfilled: 5, mark: 5 }

describe('a change of the main file', () => {
  it('is none while size and time stay', () => {
    expect(explain(LOOK, { ...LOOK, mark: 9 })).toBe('yes')
  })

  it('is explained by copied frames and by a restart of the log', () => {
    expect(explain(LOOK, { ...LOOK, mtimeNs: 2n, backfilled: 6, mark: 6 })).toBe('yes')
    expect(explain(LOOK, { ...LOOK, mtimeNs: 2n, run: '2:9:1', backfilled: 0, mark: 0 })).toBe(
      'yes',
    )
  })

  it('may be of a checkpoint at work while frames under the mark are not copied', () => {
    expect(explain({ ...LOOK, mark: 6 }, { ...LOOK, mtimeNs: 2n, mark: 6 })).toBe('perhaps')
    expect(explain(LOOK, { ...LOOK, mtimeNs: 2n, mark: 6 })).toBe('perhaps')
  })

  it('is of somebody else when nothing could be copied, or the file is empty', () => {
    expect(explain(LOOK, { ...LOOK, mtimeNs: 2n })).toBe('never')
    expect(explain(LOOK, { ...LOOK, size: 4096 })).toBe('never')
    expect(explain({ ...LOOK, mark: 6 }, { ...LOOK, size: 0, mtimeNs: 2n, mark: 6 })).toBe('never')
  })
})
