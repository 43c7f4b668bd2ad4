// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC1155} from "@openzeppelin/contracts/token/ERC1155/IERC1155.sol";
import {IERC1155MetadataURI} from "@openzeppelin/contracts/token/ERC1155/extensions/IERC1155MetadataURI.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";

/// @title Numbered collectibles of Minthouse
/// @notice Each piece is a token of supply 1. Its ID is the collectible's UUID in the upper 128 bits and the serial
/// number in the lower. Pieces come into being in the treasury of the enterprise that issues them and are moved by
/// operators alone: there are no approvals, so that there is no market.
/// @dev Issuing a run of pieces sets one bit a piece (256 to a slot); an owner is written only once a piece leaves the
/// treasury. Operations carry an ID and take effect once, however often they are sent; one that cannot be carried out
/// is recorded as refused and does not keep the others of its batch from being carried out.
contract MinthouseCollectibles is AccessControl, IERC1155, IERC1155MetadataURI {
    /// @notice May carry operations out. Several accounts may hold it.
    bytes32 public constant OPERATOR_ROLE = keccak256("OPERATOR_ROLE");

    /// @notice How many pieces one operation may issue.
    uint256 public constant MOST_PIECES = 1000;

    enum Kind {
        Issue,
        Transfer
    }

    enum Status {
        /// Never heard of.
        None,
        Done,
        Refused
    }

    enum Reason {
        None,
        /// No piece, or more than `MOST_PIECES`, or a serial number beyond 64 bits.
        BadRun,
        /// A piece of the run exists.
        AlreadyIssued,
        /// The collectible's pieces belong into another treasury.
        OtherTreasury,
        /// The piece does not exist.
        NotIssued,
        /// The piece is not the giver's.
        NotTheOwner,
        /// The zero address, or a contract, which could refuse or do more than receive.
        BadRecipient
    }

    /// @notice One operation. `from` and `to` of an issue are the zero address and the treasury; a transfer's `count` is 1.
    struct Operation {
        bytes32 id;
        Kind kind;
        uint256 first;
        uint256 count;
        address from;
        address to;
    }

    /// @notice What became of an operation.
    struct Outcome {
        Status status;
        Reason reason;
        /// The block that it stands in.
        uint64 blockNumber;
        /// The first 22 bytes of the hash over what the operation said.
        bytes22 digest;
    }

    event OperationDone(bytes32 indexed id);
    event OperationRefused(bytes32 indexed id, Reason reason);

    /// Approvals do not exist, and with them the standard's own transfers: pieces are not sold on.
    error PiecesMoveByOperationAlone();
    error ListsOfDifferentLengths();

    mapping(bytes32 id => Outcome) private _outcomes;
    /// A bit for each piece that exists, by `token >> 8`: a collectible's serial numbers stay together.
    mapping(uint256 word => uint256 bits) private _issued;
    mapping(uint256 collectible => address treasury) private _treasuries;
    /// Owners of pieces that have left their treasury.
    mapping(uint256 token => address owner) private _owners;
    string private _uri;

    constructor(address admin, address[] memory operators, string memory metadataUri) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        for (uint256 i = 0; i < operators.length; ++i) {
            _grantRole(OPERATOR_ROLE, operators[i]);
        }
        _uri = metadataUri;
    }

    /// @notice Carries operations out, in their order. One that is known already is passed over.
    function execute(Operation[] calldata operations) external onlyRole(OPERATOR_ROLE) {
        for (uint256 i = 0; i < operations.length; ++i) {
            Operation calldata operation = operations[i];
            if (_outcomes[operation.id].status != Status.None) continue;
            Reason reason = operation.kind == Kind.Issue ? _issue(operation) : _transfer(operation);
            bool done = reason == Reason.None;
            _outcomes[operation.id] = Outcome({
                status: done ? Status.Done : Status.Refused,
                reason: reason,
                blockNumber: uint64(block.number),
                digest: digestOf(operation)
            });
            if (done) emit OperationDone(operation.id);
            else emit OperationRefused(operation.id, reason);
        }
    }

    function _issue(Operation calldata operation) private returns (Reason) {
        (uint256 first, uint256 count) = (operation.first, operation.count);
        if (count == 0 || count > MOST_PIECES || uint128(first) > type(uint64).max - MOST_PIECES) return Reason.BadRun;
        if (operation.to == address(0) || operation.to.code.length != 0) return Reason.BadRecipient;
        address treasury = _treasuries[first >> 128];
        if (treasury != address(0) && treasury != operation.to) return Reason.OtherTreasury;

        // All words are looked at before the first is written: a refused operation leaves nothing behind.
        uint256 end = first + count;
        for (uint256 at = first; at < end; at = _nextWord(at)) {
            if (_issued[at >> 8] & _mask(at, end) != 0) return Reason.AlreadyIssued;
        }
        for (uint256 at = first; at < end; at = _nextWord(at)) {
            _issued[at >> 8] |= _mask(at, end);
        }
        if (treasury == address(0)) _treasuries[first >> 128] = operation.to;
        _announceRun(operation.to, first, count);
        return Reason.None;
    }

    function _transfer(Operation calldata operation) private returns (Reason) {
        (uint256 token, address to) = (operation.first, operation.to);
        address owner = ownerOf(token);
        if (owner == address(0)) return Reason.NotIssued;
        if (owner != operation.from) return Reason.NotTheOwner;
        if (to == address(0) || to.code.length != 0) return Reason.BadRecipient;
        _owners[token] = to;
        emit TransferSingle(msg.sender, owner, to, token, 1);
        return Reason.None;
    }

    /// The first token of the next word of bits.
    function _nextWord(uint256 token) private pure returns (uint256) {
        return ((token >> 8) + 1) << 8;
    }

    /// The bits from `token` to the end of its word, or to `end`.
    function _mask(uint256 token, uint256 end) private pure returns (uint256) {
        uint256 bits = type(uint256).max << (token & 0xff);
        uint256 next = _nextWord(token);
        return end < next ? bits & ((1 << (end & 0xff)) - 1) : bits;
    }

    /// TransferBatch of a run. By hand, because two lists in memory for each operation of a batch would be paid for by the
    /// square of their sum: memory is never given back, and behind the free pointer it can be used again.
    function _announceRun(address to, uint256 first, uint256 count) private {
        bytes32 topic = TransferBatch.selector;
        assembly ("memory-safe") {
            let data := mload(0x40)
            let size := shl(5, add(count, 1))
            let values := add(add(data, 0x40), size)
            mstore(data, 0x40)
            mstore(add(data, 0x20), add(0x40, size))
            mstore(add(data, 0x40), count)
            mstore(values, count)
            let id := add(data, 0x60)
            for { let i := 0 } lt(i, count) { i := add(i, 1) } {
                mstore(id, add(first, i))
                mstore(add(id, size), 1)
                id := add(id, 0x20)
            }
            log4(data, add(0x40, shl(1, size)), topic, caller(), 0, to)
        }
    }

    /// @notice To whom a piece belongs; the zero address if it does not exist.
    function ownerOf(uint256 token) public view returns (address) {
        address owner = _owners[token];
        if (owner != address(0)) return owner;
        return (_issued[token >> 8] >> (token & 0xff)) & 1 == 1 ? _treasuries[token >> 128] : address(0);
    }

    /// @notice The same for several, for audits.
    function ownersOf(uint256[] calldata tokens) external view returns (address[] memory owners) {
        owners = new address[](tokens.length);
        for (uint256 i = 0; i < tokens.length; ++i) {
            owners[i] = ownerOf(tokens[i]);
        }
    }

    /// @notice What became of operations: whoever lost an answer asks here.
    function outcomesOf(bytes32[] calldata ids) external view returns (Outcome[] memory outcomes) {
        outcomes = new Outcome[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            outcomes[i] = _outcomes[ids[i]];
        }
    }

    /// @notice What is kept of an operation's words, so that one ID cannot stand for two.
    function digestOf(Operation calldata operation) public pure returns (bytes22) {
        return bytes22(keccak256(abi.encode(operation)));
    }

    /// @inheritdoc IERC1155
    function balanceOf(address account, uint256 token) public view returns (uint256) {
        return account != address(0) && ownerOf(token) == account ? 1 : 0;
    }

    /// @inheritdoc IERC1155
    function balanceOfBatch(address[] calldata accounts, uint256[] calldata tokens)
        external
        view
        returns (uint256[] memory balances)
    {
        if (accounts.length != tokens.length) revert ListsOfDifferentLengths();
        balances = new uint256[](tokens.length);
        for (uint256 i = 0; i < tokens.length; ++i) {
            balances[i] = balanceOf(accounts[i], tokens[i]);
        }
    }

    /// @notice One address for every piece, with `{id}` where the standard's clients put the token's ID.
    function uri(uint256) external view returns (string memory) {
        return _uri;
    }

    function setUri(string calldata metadataUri) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _uri = metadataUri;
    }

    /// @notice Always false.
    function isApprovedForAll(address, address) external pure returns (bool) {
        return false;
    }

    function setApprovalForAll(address, bool) external pure {
        revert PiecesMoveByOperationAlone();
    }

    function safeTransferFrom(address, address, uint256, uint256, bytes calldata) external pure {
        revert PiecesMoveByOperationAlone();
    }

    function safeBatchTransferFrom(address, address, uint256[] calldata, uint256[] calldata, bytes calldata)
        external
        pure
    {
        revert PiecesMoveByOperationAlone();
    }

    function supportsInterface(bytes4 interfaceId) public view override(AccessControl, IERC165) returns (bool) {
        return interfaceId == type(IERC1155).interfaceId || interfaceId == type(IERC1155MetadataURI).interfaceId
            || super.supportsInterface(interfaceId);
    }
}
