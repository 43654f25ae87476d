import { durability } from './durability.js'

// #region middleware
/** Fastify: `app.post('/orders', { onSend: durable(replica, { timeoutMs: 500 }) }, handler)` */
export const durable = (replica, policy) => async (_request, reply, payload) => {
  if (reply.statusCode >= 400) return payload
  const status = await durability(replica, policy)
  reply.code(status ?? reply.statusCode)
  return status === 503 ? '{"error":"The order is not safe yet. Try again."}' : payload
}
// #endregion
