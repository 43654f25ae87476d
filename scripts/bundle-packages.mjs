// Puts packages that come in hundreds of files into one file each, below dist/vendor, and makes the
// compiled code import those: at a start, finding and linking each file costs more than its code does.
// walsync's own files stay as they are, so that stack traces name them.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { rolldown } from 'rolldown'

const BUNDLED = ['inversify', 'zod']
const IMPORT = new RegExp(`(\\bfrom|\\bimport) '(${BUNDLED.join('|')})'`, 'g')

/** @param {string} dist absolute */
export async function bundlePackages(dist) {
  const vendor = join(dist, 'vendor')
  mkdirSync(vendor)
  const licences = new Map()
  for (const name of BUNDLED) {
    const bundle = await rolldown({
      input: name,
      cwd: dirname(dist),
      platform: 'node',
      logLevel: 'warn',
    })
    const { output } = await bundle.write({ file: join(vendor, `${name}.js`), format: 'esm' })
    await bundle.close()
    for (const id of output.flatMap(({ moduleIds }) => moduleIds ?? [])) noteLicence(id, licences)
  }
  writeFileSync(join(vendor, 'LICENSES.txt'), [...licences.values()].join('\n'))
  const users = readdirSync(dist, { recursive: true })
    .filter((file) => file.endsWith('.js') && !file.startsWith('vendor'))
    .filter((file) => useBundles(join(dist, file), vendor))
  if (users.length === 0) throw new Error('Nothing in dist imports a bundled package.')
}

/** @returns whether the file imports one of them */
function useBundles(file, vendor) {
  const code = readFileSync(file, 'utf8')
  const bundled = code.replaceAll(IMPORT, (_, keyword, name) => {
    const path = relative(dirname(file), join(vendor, `${name}.js`))
    return `${keyword} '${path.startsWith('.') ? path : `./${path}`}'`
  })
  if (bundled === code) return false
  writeFileSync(file, bundled)
  return true
}

/** The licence of the package that a bundled module is from. */
function noteLicence(id, licences) {
  const folder = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0]
  if (folder === undefined || licences.has(folder)) return
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry))
  const text = file === undefined ? '' : readFileSync(join(folder, file), 'utf8')
  licences.set(folder, `${name} ${version} (${license})\n\n${text}`)
}
