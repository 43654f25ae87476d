import { DriverStore, StoreError } from 'walsync/store'
import { SqliteDriver } from './sqlite-driver.js'

export { SqliteDriver } from './sqlite-driver.js'

// #region provider
/** `sqlite:///absolute/path/objects.db` @type {import('walsync/store').ObjectStoreProvider} */
export const provider = {
  apiVersion: 2,
  name: 'walsync-store-sqlite',
  schemes: ['sqlite'],
  layout: 'ltx',
  async open(url) {
    const path = decodeURIComponent(url.pathname)
    if (url.host !== '' || path === '' || path.endsWith('/')) {
      throw new StoreError('InvalidArgument', `${url.href} does not name a file.`, {
        op: 'open',
        hint: 'Write sqlite:///absolute/path/objects.db.',
      })
    }
    return new DriverStore(new SqliteDriver(path))
  },
}
// #endregion
