import { durability } from './durability.js'

// #region middleware
/** Hono: `app.post('/orders', durable(replica, { timeoutMs: 500 }), handler)` */
export const durable = (replica, policy) => async (c, next) => {
  await next()
  if (c.res.status >= 400) return
  const status = await durability(replica, policy)
  if (status === 503) c.res = c.json({ error: 'The order is not safe yet. Try again.' }, 503)
  else if (status !== undefined) {
    c.res = new Response(c.res.body, { status, headers: c.res.headers })
  }
}
// #endregion
