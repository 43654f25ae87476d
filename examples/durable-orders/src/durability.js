// #region policy
/**
 * What a route does when its commit is not in the store in time. `fail`: it answers 503, and the
 * client tries again. `accept`: it answers 202, and the upload follows.
 *
 * @typedef {{ timeoutMs?: number, otherwise?: 'fail' | 'accept' }} Policy
 */

/**
 * Waits until everything that was committed is in the store.
 *
 * @param {import('walsync').Replica} replica
 * @param {Policy} policy
 * @returns the status to answer with; `undefined`: the commit is safe, and the handler's own is right
 */
export async function durability(replica, { timeoutMs = 2000, otherwise = 'fail' } = {}) {
  try {
    await replica.wait({ timeoutMs })
  } catch (error) {
    // A writer that was fenced uploads nothing any more.
    return otherwise === 'accept' && error.code !== 'Fenced' ? 202 : 503
  }
}
// #endregion
