import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const DEMO = fileURLToPath(new URL('../../scripts/demo.ts', import.meta.url))

it('the demo of the README restores every row and ends with 0', async () => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [DEMO])
  expect(stderr).toBe('')
  expect(stdout).toMatch(
    /Lag from COMMIT to the stored object: median [\d.]+ ms, longest [\d.]+ ms/,
  )
  expect(stdout).toMatch(/Compared row by row: all \d{3,} rows in 2 tables are equal\.\n$/)
}, 180_000)
