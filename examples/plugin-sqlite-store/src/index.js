import { StoreError } from 'walsync/store'
import { SqliteStore } from './sqlite-store.js'

export { SqliteStore } from './sqlite-store.js'

// #region provider
/** `sqlite:///absolute/path/objects.db` @type {import('walsync/store').ObjectStoreProvider} */
export const provider = {
  apiVersion: 1,
  name: 'walsync-store-sqlite',
  schemes: ['sqlite'],
  layout: 'ltx',
  async open(url) {
    const path = decodeURIComponent(url.pathname)
    if (url.host !== '' || path === '' || path.endsWith('/')) {
      throw new StoreError('InvalidArgument', `${url.href} names no file.`, {
        op: 'open',
        hint: 'Write sqlite:///absolute/path/objects.db.',
      })
    }
    return new SqliteStore(path)
  },
}
// #endregion
