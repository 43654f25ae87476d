import { expect, it } from 'vitest'
import { compileKernel } from '../../scripts/kernel.ts'
import { KERNEL_CODE } from '../../src/core/ltx/codec/kernel-code.ts'

it('The kernel in the sources is what assembly/codec-kernel.ts compiles to.', async () => {
  expect(await compileKernel(), 'run "npm run kernel"').toBe(KERNEL_CODE)
})
