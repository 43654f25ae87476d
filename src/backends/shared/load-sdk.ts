import { StoreError } from '../../core/store/index.ts'

/**
 * Imports an SDK that is an optional peer dependency, so that users of other stores do not need it.
 *
 * @param load a literal `import()`, to keep the types
 * @throws StoreError `Unsupported` with the npm command to install it, if the package is missing
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
    // A dependency that the SDK itself lacks is a different problem from a missing SDK.
    if (code !== 'ERR_MODULE_NOT_FOUND' || !message.includes(`'${packageName}'`)) throw error
    throw new StoreError('Unsupported', `${purpose} needs the package ${packageName}.`, {
      op: 'open',
      cause: error,
      hint: `Install it: npm install ${packageName}`,
    })
  }
}
