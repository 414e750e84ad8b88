"""Published results, table by table, as their papers and repositories print them; all in per cent.

Each table has one line per method: name | backbone or size | scores of each column | name in `SOURCES`, if the table mixes several |
a remark, if there is one. A column is a dataset and a split of ours, the part of it that was scored where it was not all of it, and the
measures in the order of the numbers. "-" stands for what is not printed. Nothing here is computed or corrected: misprints stay and
carry a remark. Where the same method has several numbers, all are listed with their sources.
"""

from __future__ import annotations

from typing import NamedTuple


class PrintedTable(NamedTuple):
    """One table.

    Args:
        source: name in `SOURCES`, or None if the lines name theirs.
        place: where in that source, such as "Table 1".
        columns: "dataset split [part]: measures", separated by "|".
        lines: one method each, cells separated by "|".
    """

    source: str | None
    place: str
    columns: str
    lines: str


SOURCES = {
    "VideoLISA": "https://arxiv.org/abs/2409.19603",
    "VISA": "https://arxiv.org/abs/2407.11325",
    "ViLLa": "https://arxiv.org/abs/2407.14500",
    "MeViS": "https://github.com/henghuiding/MeViS",
    "AgentRVOS": "https://arxiv.org/abs/2603.23489",
    "Refer-Agent": "https://arxiv.org/abs/2602.03595",
    "DecAF": "https://github.com/HYUNJS/DecAF",
    "SteerSeg": "https://github.com/alichr/nips26-video-reason-segmentaion",
    "Veason-R1": "https://arxiv.org/abs/2508.11538",
    "OneThinker": "https://arxiv.org/abs/2512.03043",
    "RGA3": "https://github.com/qirui-chen/RGA3-release",
    "GLUS": "https://github.com/GLUS-video/GLUS",
    "X2SAM": "https://github.com/wanghao9610/X2SAM",
    "VIRST": "https://github.com/AIDASLab/VIRST",
    "UniPixel": "https://github.com/PolyU-ChenLab/UniPixel",
    "StreamingRVOS": "https://github.com/wkzhang636/StreamingRVOS",
    "VideoSeg-R1": "https://arxiv.org/abs/2511.16077",
    "Sa2VA": "https://github.com/bytedance/Sa2VA",
    "Sa2VA#3": "https://github.com/bytedance/Sa2VA/issues/3",
    "Sa2VA-i": "https://arxiv.org/abs/2509.19082",
    "VRS-HQ": "https://arxiv.org/abs/2501.08549",
    "HyperSeg": "https://github.com/congvvc/HyperSeg",
    "InstructSeg": "https://github.com/congvvc/InstructSeg",
    "SAMWISE": "https://github.com/ClaudiaCuttano/SAMWISE",
    "Ultralytics": "https://docs.ultralytics.com/models/sam-3/",
    "EVOL-SAM3": "https://arxiv.org/abs/2512.24702",
    "Vision Banana": "https://arxiv.org/abs/2604.20329",
}

TABLES = (
    PrintedTable(
        "VideoLISA",
        "Table 1",
        "ref-youtube-vos valid: j_and_f j f | ref-davis17 valid: j_and_f j f",
        """
        URVOS          | -    | 47.2 45.2 49.1 | 51.6 47.2 55.9
        CMPC-V         | -    | 47.5 45.6 49.3 | -
        YOFO           | -    | 48.6 47.5 49.7 | 53.3 48.8 57.8
        LBDT           | -    | 49.4 48.2 50.6 | 54.3 - -
        MLSA           | -    | 49.7 48.4 50.9 | 57.9 53.8 62.0
        PMINet + CFBI  | -    | 54.2 53.0 55.5 | -
        MTTR           | -    | 55.3 54.0 56.6 | -
        CITD           | -    | 61.4 60.0 62.7 | -
        ReferFormer    | -    | 62.9 61.3 64.6 | 61.1 58.1 64.1
        R2-VOS         | -    | 61.3 59.6 63.1 | -
        SgMg           | -    | 65.7 63.9 67.4 | 63.3 60.6 66.0
        OnlineRefer    | -    | 63.5 61.6 65.5 | 64.8 61.6 67.7
        LISA           | 7B   | 50.2 49.7 50.6 | 58.4 54.9 61.9
        LISA           | 13B  | 52.6 52.1 53.0 | 60.7 56.8 64.6
        TrackGPT       | 7B   | 56.4 55.3 57.4 | 63.2 59.4 67.0
        TrackGPT       | 13B  | 59.5 58.1 60.8 | 66.5 62.7 70.4
        PixelLM        | 7B   | 52.9 54.0 51.9 | 56.6 54.5 58.7
        VideoLISA      | 3.8B | 61.7 60.2 63.3 | 67.7 63.8 71.5
        VideoLISA + XMem++ | 3.8B | 63.7 61.7 65.7 | 68.8 64.9 72.7
        """,
    ),
    PrintedTable(
        "VideoLISA",
        "Table 2",
        "mevis valid: j_and_f j f",
        """
        URVOS          | -    | 27.8 25.7 29.9
        LBDT           | -    | 29.3 27.8 30.8
        MTTR           | -    | 30.0 28.8 31.2
        ReferFormer    | -    | 31.0 29.8 32.2
        VLT + TC       | -    | 35.5 33.6 37.3
        LMPM           | -    | 37.2 34.2 40.2
        VideoLISA      | 3.8B | 42.3 39.4 45.2
        VideoLISA + XMem++ | 3.8B | 44.4 41.3 47.6
        """,
    ),
    PrintedTable(
        "VideoLISA",
        "Table 3",
        "reasonvos test: j_and_f j f",
        """
        MTTR           | -    | 31.1 29.1 33.1
        ReferFormer    | -    | 32.9 30.2 35.6
        SOC            | -    | 35.9 33.3 38.5
        OnlineRefer    | -    | 38.7 34.6 42.9
        SgMg           | -    | 36.2 33.7 38.7
        LISA           | -    | 31.1 29.1 33.1 | printed alike for MTTR
        PixelLM        | -    | 32.2 30.8 33.7
        VideoLISA      | 3.8B | 45.1 43.1 47.1
        VideoLISA + XMem++ | 3.8B | 47.5 45.1 49.9
        """,
    ),
    PrintedTable(
        "VideoLISA",
        "Table 4",
        "reasonseg val: giou ciou | reasonseg test short: giou ciou | reasonseg test long: giou ciou | reasonseg test: giou ciou",
        """
        OVSeg          | -    | 28.5 18.6 | 18.0 15.5 | 28.7 22.5 | 26.1 20.8
        GRES           | -    | 22.4 19.9 | 17.6 15.0 | 22.6 23.8 | 21.3 22.0
        X-Decoder      | -    | 22.6 17.9 | 20.4 11.6 | 22.2 17.5 | 21.7 16.3
        SEEM           | -    | 25.5 21.2 | 20.1 11.5 | 25.6 20.8 | 24.3 18.7
        Grounded-SAM   | -    | 26.0 14.5 | 17.8 10.8 | 22.4 18.6 | 21.3 16.4
        LISA           | 7B   | 44.4 46.0 | 37.6 34.4 | 36.6 34.7 | 36.8 34.1
        LISA (ft)      | 7B   | 52.9 54.0 | 40.6 40.6 | 49.4 51.0 | 47.3 48.4
        LISA           | 13B  | 48.9 46.9 | 39.9 43.3 | 46.4 46.5 | 44.8 45.8
        LISA (ft)      | 13B  | 56.2 62.9 | 44.3 42.0 | 54.0 54.3 | 51.7 51.1
        VideoLISA      | 3.8B | 61.4 67.1 | 43.8 42.7 | 56.9 57.7 | 53.8 54.4
        """,
    ),
    PrintedTable(
        "VideoLISA",
        "Table 6",
        "mevis valid_u: j_and_f j f",
        """
        LISA           | 7B   | 43.2 39.9 46.5 | run by the authors of VideoLISA
        LISA + XMem    | 7B   | 45.6 41.9 49.3 | run by the authors of VideoLISA
        VideoLISA (one token per frame) | 3.8B | 46.1 42.4 49.8 | ablation, half the training
        VideoLISA      | 3.8B | 51.7 48.4 54.9 | ablation, half the training
        VideoLISA + XMem++ | 3.8B | 54.5 50.9 58.1 | ablation, half the training
        """,
    ),
    PrintedTable(
        "VideoLISA",
        "Table 7",
        "refcoco val: ciou | refcoco testA: ciou | refcoco testB: ciou | refcoco+ val: ciou | refcoco+ testA: ciou | refcoco+ testB: ciou"
        " | refcocog val: ciou | refcocog test: ciou",
        """
        MCN            | -    | 62.4 | 64.2 | 59.7 | 50.6 | 55.0 | 44.7 | 49.2 | 49.4
        VLT            | -    | 67.5 | 70.5 | 65.2 | 56.3 | 61.0 | 50.1 | 55.0 | 57.7
        CRIS           | -    | 70.5 | 73.2 | 66.1 | 62.3 | 68.1 | 53.7 | 59.9 | 60.4
        LAVT           | -    | 72.7 | 75.8 | 68.8 | 62.1 | 68.4 | 55.1 | 61.2 | 62.1
        ReLA           | -    | 73.8 | 76.5 | 70.2 | 66.0 | 71.0 | 57.7 | 65.0 | 66.0
        X-Decoder      | -    | - | - | - | - | - | - | 64.6 | -
        SEEM           | -    | - | - | - | - | - | - | 65.7 | -
        LISA           | 7B   | 74.1 | 76.5 | 71.1 | 62.4 | 67.4 | 56.5 | 66.4 | 68.5
        VideoLISA      | 3.8B | 73.8 | 76.6 | 68.8 | 63.4 | 68.8 | 56.2 | 68.3 | 68.8
        """,
    ),
    PrintedTable(
        "VISA",
        "table of ReVOS",
        "revos valid referring: j f j_and_f | revos valid reasoning: j f j_and_f | revos valid: j f j_and_f r_printed",
        """
        MTTR           | Video-Swin-T   | 29.8 30.2 30.0 | 20.4 21.5 21.0 | 25.1 25.9 25.5 -
        ReferFormer    | Video-Swin-B   | 31.2 34.3 32.7 | 21.3 25.6 23.4 | 26.2 29.9 28.1 8.8
        LMPM           | Swin-T         | 29.0 39.1 34.1 | 13.3 24.3 18.8 | 21.2 31.7 26.4 -
        LLaMA-VID + LMPM | -            | 29.0 39.1 34.1 | 12.8 23.7 18.2 | 20.9 31.4 26.1 -
        LISA           | LLaVA-7B       | 44.3 47.1 45.7 | 33.8 38.4 36.1 | 39.1 42.7 40.9 9.3
        LISA           | LLaVA-13B      | 45.2 47.9 46.6 | 34.3 39.1 36.7 | 39.8 43.5 41.6 -
        TrackGPT (IT)  | LLaVA-7B       | 46.7 49.7 48.2 | 36.8 41.2 39.0 | 41.8 45.5 43.6 11.6
        TrackGPT (IT)  | LLaVA-13B      | 48.3 50.6 49.5 | 38.1 42.9 40.5 | 43.2 46.8 45.0 12.8
        VISA           | Chat-UniVi-7B  | 51.1 54.7 52.9 | 36.7 41.7 39.2 | 43.9 48.2 46.1 -
        VISA           | Chat-UniVi-13B | 52.3 55.8 54.1 | 38.3 43.5 40.9 | 45.3 49.7 47.5 -
        VISA (IT)      | Chat-UniVi-7B  | 49.2 52.6 50.9 | 40.6 45.4 43.0 | 44.9 49.0 46.9 15.5
        VISA (IT)      | Chat-UniVi-13B | 55.6 59.1 57.4 | 42.0 46.7 44.3 | 48.8 52.9 50.9 14.5
        """,
    ),
    PrintedTable(
        "VISA",
        "table of referring video segmentation",
        "ref-youtube-vos valid: j f j_and_f | ref-davis17 valid: j f j_and_f | mevis valid: j f j_and_f",
        """
        ReferFormer    | -    | 61.3 64.6 62.9 | 58.1 64.1 61.1 | 29.8 32.2 31.0
        LISA           | 7B   | 53.4 54.3 53.9 | 62.2 67.3 64.8 | 35.1 39.4 37.2
        LISA           | 13B  | 54.0 54.8 54.4 | 63.2 68.8 66.0 | 35.8 40.0 37.9
        TrackGPT       | 7B   | 55.3 57.4 56.4 | 59.4 67.0 63.2 | 37.6 42.6 40.1
        TrackGPT       | 13B  | 58.1 60.8 59.5 | 62.7 70.4 66.5 | 39.2 43.1 41.2
        VISA           | 7B   | 59.8 63.2 61.5 | 66.3 72.5 69.4 | 40.7 46.3 43.5
        VISA           | 13B  | 61.4 64.7 63.0 | 67.0 73.8 70.4 | 41.8 47.1 44.5
        """,
    ),
    PrintedTable(
        "VISA",
        "table of images",
        "refcoco val: ciou | refcoco testA: ciou | refcoco testB: ciou | refcoco+ val: ciou | refcoco+ testA: ciou | refcoco+ testB: ciou"
        " | refcocog val: ciou | refcocog test: ciou | reasonseg val: giou ciou",
        """
        VISA           | 7B   | 72.4 | 75.5 | 68.1 | 59.8 | 64.8 | 53.1 | 65.5 | 66.4 | 52.7 57.8
        LISA           | 7B   | 74.9 | 79.1 | 72.3 | 65.1 | 70.8 | 58.1 | 67.9 | 70.6 | 52.9 54.0
        """,
    ),
    PrintedTable(
        "ViLLa",
        "table of VideoReasonSeg",
        "videoreasonseg all short: j_and_f mc | videoreasonseg all long: j_and_f mc | videoreasonseg all: j_and_f mc",
        """
        MTTR           | -               | 17.2 - | 12.7 - | 15.6 -
        ReferFormer    | -               | 17.5 - | 13.4 - | 16.0 -
        LMPM           | -               | 26.4 - | 18.5 - | 23.1 -
        OnlineRefer    | -               | 26.9 - | 18.7 - | 16.3 - | the whole cannot be below both parts; likely a misprint
        LISA           | LLaVA-7B        | 43.8 34.5 | 27.3 29.5 | 38.4 32.1
        LISA           | LLaVA-13B       | 45.0 35.2 | 28.1 30.7 | 39.2 32.9
        VideoLISA      | InternVideo2-1B | 51.0 38.4 | 32.4 32.9 | 45.3 36.7
        VideoLISA      | InternVideo2-6B | 54.8 43.6 | 33.8 34.9 | 47.8 39.2
        VISA           | LLaVA-7B        | 48.9 37.5 | 30.4 31.9 | 43.1 35.2
        VISA           | LLaVA-13B       | 54.6 40.1 | 33.8 33.2 | 47.4 37.9
        VISA           | Chat-UniVi-13B  | 54.8 42.6 | 34.0 34.3 | 47.6 39.6
        VISA           | InternVideo2-6B | 57.9 44.6 | 36.2 35.8 | 50.5 40.5
        ViLLa          | InternVideo2-1B | 57.4 46.5 | 38.9 37.6 | 51.2 43.1
        ViLLa          | InternVideo2-6B | 62.3 53.4 | 41.2 40.5 | 55.0 49.2
        """,
    ),
    PrintedTable(
        "ViLLa",
        "as later papers print it",
        "ref-youtube-vos valid: j f j_and_f | ref-davis17 valid: j f j_and_f | mevis valid: j f j_and_f | revos valid: j f j_and_f",
        """
        ViLLa          | InternVideo2-6B | 64.6 70.4 67.5 | 70.6 78.0 74.3 | 46.5 52.3 49.4 | 54.9 59.1 57.0 | printed by ReVSeg
        ViLLa          | InternVideo2-6B | 70.5 76.6 73.3 | - | - | - | printed by VideoSeg-R1, against 67.5 elsewhere
        VISA           | InternVideo2-6B | - | - | - | 50.1 54.7 52.4
        """,
    ),
    PrintedTable(
        None,
        "",
        "reasonvos test: j_and_f",
        """
        AgentRVOS      | GPT-5                | 75.5 | AgentRVOS
        AgentRVOS      | Qwen3-VL-32B         | 70.4 | AgentRVOS
        AgentRVOS      | Qwen3-VL-8B          | 68.6 | AgentRVOS
        Refer-Agent    | Ovis2.5-9B           | 69.8 | Refer-Agent
        DecAF          | InternVL3-14B        | 65.6 | DecAF
        DecAF          | Qwen2.5-VL-7B        | 63.9 | DecAF
        CoT-RVS        | GPT-4o               | 65.5 | AgentRVOS
        CoT-RVS        | Qwen3-VL-8B          | 55.7 | AgentRVOS
        SteerSeg       | Qwen2.5-VL-7B        | 64.8 | SteerSeg
        Veason-R1      | 7B                   | 59.9 | Veason-R1
        Veason-R1      | 3B                   | 55.2 | Veason-R1
        OneThinker     | 8B                   | 54.9 | OneThinker
        VRS-HQ         | 7B                   | 54.9 | DecAF
        UniGR          | 7B                   | 53.6 | RGA3
        GLUS           | 7B                   | 49.9 | GLUS
        """,
    ),
    PrintedTable(
        None,
        "",
        "revos valid referring: j_and_f | revos valid reasoning: j_and_f | revos valid: j_and_f r_printed",
        """
        X2SAM          | 4B    | 69.3 | 70.3 | 69.9 -    | X2SAM
        VIRST          | -     | 70.8 | 66.1 | 68.4 21.8 | VIRST
        AgentRVOS      | GPT-5 | -    | -    | 66.3 -    | AgentRVOS
        UniPixel       | 7B    | -    | -    | 63.7 -    | UniPixel
        UniPixel       | 3B    | -    | -    | 62.1 -    | UniPixel
        StreamingRVOS  | 4B    | 63.0 | -    | -         | StreamingRVOS
        Veason-R1      | 7B    | 63.6 | 59.0 | 61.3 27.0 | Veason-R1
        Refer-Agent    | 9B    | -    | -    | 61.3 -    | Refer-Agent
        VideoSeg-R1    | 7B    | -    | -    | 61.1 -    | VideoSeg-R1 | no code
        Sa2VA          | InternVL3-14B | - | - | 60.7 -   | Sa2VA
        VRS-HQ         | 13B   | 63.3 | 56.8 | 60.0 18.9 | VRS-HQ
        VRS-HQ         | 7B    | 62.1 | 56.1 | 59.1 19.7 | VRS-HQ
        UniGR          | 7B    | 60.5 | 55.4 | 58.0 28.6 | RGA3
        HyperSeg       | 3B    | 58.5 | 53.0 | 55.7 -    | HyperSeg
        InstructSeg    | 3B    | 57.0 | 51.9 | 54.5 -    | InstructSeg
        GLUS           | 7B    | 58.3 | 51.4 | 54.9 17.9 | GLUS
        """,
    ),
    PrintedTable(
        None,
        "",
        "mevis valid: j_and_f",
        """
        AgentRVOS      | GPT-5        | 73.1 | AgentRVOS
        AgentRVOS      | Qwen3-VL-32B | 67.7 | AgentRVOS
        AgentRVOS      | Qwen3-VL-8B  | 61.9 | AgentRVOS
        Sa2VA-i        | 26B          | 63.2 | Sa2VA-i
        Sa2VA-i        | 8B           | 59.5 | Sa2VA-i
        Sa2VA-i        | 4B           | 56.6 | Sa2VA-i
        Sa2VA-i        | 1B           | 52.6 | Sa2VA-i
        VIRST          | -            | 62.9 | VIRST
        UniPixel       | 7B           | 55.8 | UniPixel
        VideoSeg-R1    | 7B           | 55.3 | VideoSeg-R1 | no code
        Refer-Agent    | 9B           | 54.7 | Refer-Agent
        Veason-R1      | 7B           | 52.2 | Veason-R1
        GLUS           | 7B           | 51.3 | GLUS
        VRS-HQ         | 13B          | 50.9 | VRS-HQ
        SAMWISE        | -            | 49.5 | SAMWISE
        """,
    ),
    PrintedTable(
        None,
        "",
        "mevis valid_u: j_and_f j f",
        """
        StreamingRVOS  | 4B     | 60.2 - -          | StreamingRVOS
        StreamingRVOS  | 1B     | 59.5 - -          | StreamingRVOS
        Sa2VA          | 8B     | 60.07 - -         | Sa2VA#3 | frames taken uniformly
        Sa2VA          | 8B     | 59.01 - -         | Sa2VA#3 | the first frames
        SAMWISE        | -      | 57.1 - -          | SAMWISE
        LMPM           | Swin-T | 40.23 36.51 43.90 | MeViS
        """,
    ),
    PrintedTable(
        None,
        "",
        "ref-youtube-vos valid: j_and_f | ref-davis17 valid: j_and_f",
        """
        VideoSeg-R1    | 7B  | 81.3 | 79.8 | VideoSeg-R1 | no code, and far from all others on Ref-YouTube-VOS
        X2SAM          | 4B  | 78.5 | 79.0 | X2SAM
        Sa2VA-i        | 26B | 76.5 | 81.2 | Sa2VA-i
        VIRST          | -   | 74.2 | 79.5 | VIRST
        Refer-Agent    | 9B  | 71.3 | -    | Refer-Agent
        UniPixel       | 7B  | 71.0 | 76.4 | UniPixel
        VRS-HQ         | 13B | 71.0 | -    | VRS-HQ
        VRS-HQ         | 7B  | -    | 76.0 | VRS-HQ
        StreamingRVOS  | 4B  | 70.5 | 76.6 | StreamingRVOS
        SAMWISE        | -   | 69.2 | 70.6 | SAMWISE
        SteerSeg       | 7B  | -    | 80.3 | SteerSeg
        DecAF          | -   | -    | 75.2 | DecAF
        """,
    ),
    PrintedTable(
        None,
        "",
        "reasonseg val: giou ciou | reasonseg test: giou ciou",
        """
        Vision Banana  | -              | 79.3 -    | -         | Vision Banana | closed; that the split is val is said by others
        SAM 3 Agent    | Gemini 2.5 Pro | 77.0 -    | -         | Vision Banana
        SAM 3 Agent    | Gemini 2.5 Pro | 76.0 -    | 73.8 -    | Ultralytics
        X2SAM          | 4B             | 71.1 64.5 | 68.5 65.6 | X2SAM
        EVOL-SAM3      | -              | 70.7 -    | -         | EVOL-SAM3
        VideoSeg-R1    | 7B             | 69.8 68.2 | -         | VideoSeg-R1 | no code
        UniPixel       | 3B             | 64.0 56.2 | -         | UniPixel
        HyperSeg       | 3B             | 59.2 56.7 | -         | HyperSeg
        """,
    ),
    PrintedTable(
        None,
        "",
        "refcoco val: ciou | refcoco testA: ciou | refcoco testB: ciou | refcoco+ val: ciou | refcoco+ testA: ciou | refcoco+ testB: ciou"
        " | refcocog val: ciou | refcocog test: ciou",
        """
        HyperSeg       | 3B | 84.8 | 85.7 | 83.4 | 79.0 | 83.5 | 75.2 | 79.4 | 78.9 | HyperSeg
        X2SAM          | 4B | 84.0 | 85.5 | 81.8 | 78.4 | 82.4 | 74.3 | 81.9 | 83.2 | X2SAM
        StreamingRVOS  | 4B | 82.5 | - | - | 77.9 | - | - | 79.9 | - | StreamingRVOS
        UniPixel       | 7B | 80.8 | 83.0 | 77.4 | 75.3 | 80.1 | 70.0 | 76.4 | 77.1 | UniPixel
        VideoSeg-R1    | 7B | 78.2 | 82.3 | 75.1 | 71.8 | 76.1 | 64.7 | 73.1 | 74.1 | VideoSeg-R1 | no code
        """,
    ),
)
