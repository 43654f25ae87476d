import { StoreError } from '../../core/store/index.ts'

/**
 * Imports an SDK that is an optional peer dependency, so that users of other stores do not need it.
 *
 * @param load a literal `import()`, which keeps the types
 * @throws StoreError `Unsupported` with the npm install line if the package is not there
 */
export async function loadSdk<T>(
  packageName: string,
  purpose: string,
  load: () => Promise<T>,
): Promise<T> {
  try {
    return await load()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    // A package that the SDK itself misses is another matter than the SDK.
    if (code !== 'ERR_MODULE_NOT_FOUND' || !message.includes(`'${packageName}'`)) throw error
    throw new StoreError('Unsupported', `${purpose} needs the package ${packageName}.`, {
      op: 'open',
      cause: error,
      hint: `Install it: npm install ${packageName}`,
    })
  }
}
