import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect } from 'vitest'

/**
 * Runs the contract suite of a plugin as its author would, with `node --test`.
 *
 * @param cwd folder of the package
 * @param home of the process
 * @returns how many cases passed, and why others were left out
 */
export async function runPluginSuite(
  cwd: string,
  home: string,
): Promise<{ passed: number; skips: string[] }> {
  const args = ['--test', '--test-reporter=tap', 'test/contract.test.js']
  // Without vitest's own variables, or the child would think that it runs inside another test.
  const env = { PATH: process.env.PATH ?? '', HOME: home }
  const options = { cwd, env, maxBuffer: 1 << 26 }
  const { stdout } = await promisify(execFile)(process.execPath, args, options).catch(
    (error: { stdout: string }) => {
      const lines = error.stdout.split('\n')
      const at = lines.findIndex((line) => /^\s*not ok/.test(line))
      throw new Error(`a case failed:\n${lines.slice(at, at + 25).join('\n')}`)
    },
  )
  const counts = /: (\d+) passed, (\d+) failed, (\d+) skipped/.exec(stdout)
  const [passed = 0, failed, skipped = 0] = counts!.slice(1).map(Number)
  expect(failed).toBe(0)
  expect(stdout).toMatch(/^# fail 0$/m)
  expect(stdout).toMatch(new RegExp(`^# skipped ${skipped}$`, 'm'))
  const skips = [...stdout.matchAll(/^# +\w+ skipped: (needs [^(\n]+?)(?: \(.+\))?$/gm)]
  expect(skips).toHaveLength(skipped)
  return { passed, skips: skips.map(([, why]) => why!) }
}
