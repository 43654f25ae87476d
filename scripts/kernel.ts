// Compiles assembly/codec-kernel.ts to WebAssembly and writes it into src/core/ltx/codec/kernel-code.ts, as text,
// so that the package needs no loader for a file of another kind. Run it after changing the kernel;
// test/lint/kernel.test.ts fails if the two differ.
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import asc from 'assemblyscript/asc'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SOURCE = 'assembly/codec-kernel.ts'
const OPTIONS = ['--runtime', 'stub', '--noAssert', '-O3', '--enable', 'simd', '--zeroFilledMemory']
/** In pages of 64 KiB. */
const MEMORY = ['--initialMemory', '3', '--maximumMemory', '3']

/** The compiled module, in base64. */
export async function compileKernel(): Promise<string> {
  let code: Uint8Array | undefined
  const { error, stderr } = await asc.main(
    [SOURCE, '--baseDir', ROOT, '--outFile', 'kernel.wasm', ...OPTIONS, ...MEMORY],
    {
      writeFile: (name, contents) => {
        if (name === 'kernel.wasm') code = contents as Uint8Array
      },
    },
  )
  if (code === undefined) {
    throw new Error(`${SOURCE} does not compile: ${stderr.toString()}`, { cause: error })
  }
  return Buffer.from(code).toString('base64')
}

if (import.meta.main) {
  writeFileSync(
    new URL('../src/core/ltx/codec/kernel-code.ts', import.meta.url),
    `/** assembly/codec-kernel.ts as WebAssembly, in base64. Written by \`npm run kernel\`. */\nexport const KERNEL_CODE =\n  '${await compileKernel()}'\n`,
  )
}
