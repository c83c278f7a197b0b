"""Settings of the nodes, as ROS parameters (config.py says how)."""

from __future__ import annotations

from dataclasses import dataclass

from any2any_ros import limits, names
from any2any_ros.config import AliveConfig, RetrievalConfig, Settings, name_setting, setting


@dataclass(frozen=True)
class ManagedNodeConfig(Settings):
    """Settings of every node."""

    autostart: bool = setting(True, "configure and activate at once; false: a lifecycle manager does so")
    allow_modules: tuple[str, ...] = setting(
        (), "modules outside this package, such as my_robot.thermal, that a map or a model may name as an encoder"
    )


@dataclass(frozen=True)
class EncoderNodeConfig(Settings):
    """Settings of one encoder node. The settings of its encoder are the parameters `settings.<name>`."""

    encoder: str = setting("camera", "name of the encoder: a file of encoders/, or the dotted name of another module")
    modality: str = name_setting("", "modality of the embeddings; empty: the encoder's default", names.modality)
    topic: str = name_setting("", "topic of the sensor; empty: the encoder's default", names.topic)
    message_type: str = name_setting(
        "", "ROS type of the topic; empty: the uncompressed type of this kind of sensor", names.message_type
    )
    reliability: str = setting(
        "best_effort", "QoS reliability of the subscription to the sensor", choices=("best_effort", "reliable")
    )
    odometry: str = name_setting(
        "odom",
        "topic of nav_msgs/Odometry, or two frames of /tf as /tf:odom.base_link, for encoders that put the samples of "
        "the last metres together; empty, and while nobody publishes it: they match scans alone",
        names.odometry,
    )
    base_frame: str = setting(
        "",
        "frame of the robot, in which /tf_static says how a LiDAR or a laser leans and how high it is; empty: what it "
        "sees is encoded as it is",
    )
    silent_after: float = setting(
        2.0, "the diagnostics warn when no message came for this long", unit="s", minimum=0.01, maximum=3600
    )
    threads: int = setting(
        1, "number of CPU threads for one encoding; more can be slower beside busy processes", minimum=1, maximum=64
    )


@dataclass(frozen=True)
class RetrievalNodeConfig(Settings):
    """Settings of the retrieval node, in addition to AliveConfig, RetrievalConfig and PlaceConfig.hit_radius."""

    map: str = setting("", "folder of the map; empty: wait for ~/load_map")
    odometry: str = name_setting(
        "",
        "topic of nav_msgs/Odometry for the Bayes filter; empty: the filter knows only the order of the places",
        names.topic,
    )
    base_frame: str = setting(
        "",
        "frame of the robot, whose pose in the map is answered, and in which /tf says where its sensors are mounted; "
        "empty: that of the map",
    )
    cloud_topic: str = name_setting(
        "",
        "topic of the LiDAR whose scans refine the rankings (docs/geometry.md); empty: no refinement",
        names.topic,
    )
    cloud_mounting: str = setting(
        "",
        "pose of that LiDAR in the robot's frame: x y z in m, roll pitch yaw in rad; empty: by /tf, or as in the map",
    )
    cloud_period: float = setting(
        1.0,
        "shortest time between two refinements; 0: refine again as soon as the last one is done",
        unit="s",
        minimum=0,
        maximum=3600,
    )
    patience: float = setting(
        10.0, "longest time of a goal of `localize` that names none", unit="s", minimum=0.1, maximum=3600
    )
    prior: str = name_setting(
        "",
        "topic of geometry_msgs/PoseWithCovarianceStamped or sensor_msgs/NavSatFix that says about where the robot is; "
        "goals of `localize` without a region look there only; empty: they look everywhere",
        names.topic,
    )
    prior_type: str = setting("pose", "type of that topic", choices=("pose", "fix"))
    prior_age: float = setting(
        30.0, "time after its last message from which on a prior says nothing", unit="s", minimum=0.1, maximum=86400
    )
    watch: float = setting(0.1, "period of the search for stale modalities", unit="s", minimum=0.01, maximum=10)


@dataclass(frozen=True)
class LocalizationNodeConfig(Settings):
    """Settings of the localization node, in addition to GuardConfig, FollowConfig and HandoverConfig."""

    odometry: str = name_setting(
        "odom",
        "topic of nav_msgs/Odometry, or two frames of /tf as /tf:odom.base_link, that says how the robot moves",
        names.odometry,
    )
    base_frame: str = setting("", "frame of the robot, as in the poses of the map; empty: that of the odometry")
    publish_tf: bool = setting(False, "publish the transform from the map's frame to the odometry's while localized")
    tf_rate: float = setting(20.0, "how often the transform is published", unit="Hz", minimum=0.1, maximum=1000)
    initial_pose: bool = setting(
        False, "tell another localizer on `initialpose` where the robot is, once for each relocalization"
    )
    localizer_pose: str = name_setting(
        "amcl_pose", "topic of geometry_msgs/PoseWithCovarianceStamped of that localizer", names.topic
    )


@dataclass(frozen=True)
class GroundingNodeConfig(Settings):
    """Settings of the grounding node, in addition to MemoryConfig and ProposalConfig."""

    model: str = setting("", "folder of the heads, written by any2any train")
    objects: str = setting("", "folder where objects are saved between two runs; empty: they are not saved")
    save_period: float = setting(
        10.0,
        "the objects are saved this often while the cameras see, so that a node that was killed starts with them",
        unit="s",
        minimum=0.1,
        maximum=3600,
    )
    rgb_topic: str = name_setting(
        "camera/image_raw",
        "topic of the colour images, sensor_msgs/Image; CompressedImage where its name ends with /compressed",
        names.topic,
    )
    depth_topic: str = name_setting(
        "depth/image_raw",
        "topic of the depth images registered to them, sensor_msgs/Image; CompressedImage where its name ends with "
        "/compressedDepth or /compressed",
        names.topic,
    )
    info_topic: str = name_setting(
        "camera/camera_info", "topic of the intrinsics of both, sensor_msgs/CameraInfo", names.topic
    )
    pose_topic: str = name_setting(
        "camera/pose",
        "topic of the camera's pose in the map, optical frame, geometry_msgs/PoseStamped; or the frames of the map and "
        "of the camera in /tf, as /tf:map.camera_optical_frame",
        names.odometry,
    )
    detections_topic: str = name_setting(
        "",
        "topic of vision_msgs/Detection2DArray with the regions of the objects; empty: objects are found in the depth "
        "image",
        names.topic,
    )
    speech_topic: str = name_setting(
        "speech/audio", "topic of the sound of spoken commands, any2any_ros/AudioStamped", names.topic
    )
    hearing: str = setting(
        "sphinx", "transcriber of spoken commands: a file of hearing/; none: only the speech head answers"
    )
    frame_id: str = setting("map", "frame of the poses whose own frame is empty")
    approach: float = setting(
        0.6, "the base stands so far from an object that it fetches", unit="m", minimum=0, maximum=10
    )
    slop: float = setting(
        AliveConfig.slop,
        "stamps of the colour image, depth image and pose of one view differ by at most this much",
        unit="s",
        minimum=0,
        maximum=10,
    )
    source_timeout: float = setting(
        AliveConfig.source_timeout,
        "a camera is stale this long after its last image",
        unit="s",
        minimum=0.01,
        maximum=3600,
    )
    listen: float = setting(10.0, "longest time to wait for a spoken command", unit="s", minimum=0.1, maximum=3600)
    k: int = setting(RetrievalConfig.k, "number of objects in an answer", minimum=1, maximum=limits.MATCHES)


@dataclass(frozen=True)
class ReplayConfig(Settings):
    """How a bag is replayed."""

    rate: float = setting(1.0, "speed of the replay relative to the recording", minimum=0.01, maximum=100)
    start: float = setting(0.0, "length of the beginning of the bag that is skipped", unit="s", minimum=0)
    duration: float = setting(0.0, "length of the part that is replayed; 0: until the bag ends", unit="s", minimum=0)
    loop: bool = setting(False, "start again when the bag ends, until Ctrl-C")
    wait: float = setting(
        10.0, "longest wait for a subscriber on every topic before the replay starts", unit="s", minimum=0, maximum=600
    )
