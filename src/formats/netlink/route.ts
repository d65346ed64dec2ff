/**
 * rtnetlink: how interfaces, addresses and routes are made, as messages to the kernel.
 *
 *     nlmsghdr   u32 length  u16 type  u16 flags  u32 sequence  u32 port     then the type's own header, then attributes
 *     ifinfomsg  u8 family   u8 0      u16 device type  i32 index  u32 flags  u32 which flags change
 *
 * Numbers are in the machine's own order, which on all we run on is little-endian. With NLM_F_ACK the kernel answers every message
 * with an errno, 0 for done.
 * @see Linux include/uapi/linux/netlink.h, include/uapi/linux/rtnetlink.h, man-pages rtnetlink(7)
 */

export const NETLINK_ROUTE = 0
const RTM_NEWLINK = 16
const NLM_F_REQUEST = 0x01
const NLM_F_ACK = 0x04
const IFF_UP = 0x1

/** The message that sets an interface up: what `ip link set dev LINK up` sends. @param index the interface's number; 1 is `lo` in every namespace. */
export function linkUp(index: number): Uint8Array {
  const bytes = new Uint8Array(32)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, bytes.length, true)
  view.setUint16(4, RTM_NEWLINK, true)
  view.setUint16(6, NLM_F_REQUEST | NLM_F_ACK, true)
  view.setUint32(8, 1, true)
  view.setInt32(20, index, true)
  view.setUint32(24, IFF_UP, true)
  view.setUint32(28, IFF_UP, true)
  return bytes
}
